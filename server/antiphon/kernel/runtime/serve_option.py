"""An option that a plugin adds to `antiphon serve`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Generic, TypeVar

from antiphon.kernel.errors import PluginError

T = TypeVar("T", str, int, float, bool, tuple[str, ...])


@dataclass(frozen=True, slots=True)
class ServeOption(Generic[T]):
    """An option of `serve` that a synth backend or a transport adds. `ServeSettings.value` gives what was asked for.

    Args:
        name: As it is spelled on the command line, without the dashes: small letters, digits and "-".
        doc: For `antiphon serve --help`.
        default: The value where it was not given. Its type is that of the option: text, a whole number, a number, a
            flag (False), or texts of an option that may be repeated (a tuple).
        envvar: The environment variable that gives the value where the command line does not; "" for none. The
            processes of the server do not inherit it.
        secret: The value may hold a password: it is left out of files that other users of the machine may read.

    Raises:
        PluginError: The name cannot be spelled so.
    """

    name: str
    doc: str
    default: T = ""  # type: ignore[assignment]
    envvar: str = ""
    secret: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", self.name):
            raise PluginError(f"an option of serve is named by small letters, digits and -, not {self.name!r}")
