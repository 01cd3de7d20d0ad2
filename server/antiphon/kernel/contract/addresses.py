"""OSC addresses that plugins add by the hook `antiphon_addresses`: the hook's argument, and its checks at load."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from antiphon.kernel.errors import PluginError

_PATH = re.compile(r"(/[A-Za-z0-9_.-]+){2,}")
_TYPED = re.compile(r"\b[a-z]:(\w+)")
_ARGUMENT = re.compile(r"([ifdsbx]):\w+(…?)|\[([ifdsbx]):\w+\](…?)")


@dataclass(frozen=True, slots=True)
class AddressInfo:
    """An address of a plugin, as data."""

    path: str
    args: str  # its arguments in the notation of `docs/osc.md`, for example "s:name [f:fade]"
    doc: str
    plugin: str
    surfaces: bool = False
    timed: bool = False  # whether its commands take effect at the exact sample of a bundle's time tag, or at a beat

    @property
    def usage(self) -> str:
        """Usage line of an address: `/node/add TYPE NAME [AFTER]`."""
        return f"{self.path} {_TYPED.sub(lambda found: found[1].upper(), self.args)}"

    @property
    def types(self) -> tuple[tuple[str, ...], int]:
        """Type tags of the arguments, the last with "…" where it may be repeated, and how many are required."""
        words = self.args.split()
        tags = tuple(word.strip("[]…")[0] + ("…" if word.endswith("…") else "") for word in words)
        return tags, sum(not word.startswith("[") for word in words)


class AddressList:
    """Collector of a plugin's OSC addresses, passed to `antiphon_addresses`."""

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        self.added: list[tuple[AddressInfo, Callable[[Any], Any]]] = []

    def add(
        self,
        path: str,
        args: str,
        handler: Callable[[Any], Any],
        doc: str,
        *,
        surfaces: bool = False,
        timed: bool = False,
    ) -> None:
        """Adds an address.

        Args:
            path: The address: below the plugin's name, "/wobble/shake" for a plugin `wobble` or `antiphon_wobble`.
            args: Its arguments in the notation of `docs/osc.md`, for example "s:name [f:fade]": i, f, d are numbers (i
                a whole one), s a text, b a blob, x any; […] may be left out, and the last may be repeated (…).
            handler: Called in the control process with an `OscRequest`; it must return a command, several or None at
                once. The sender gets the text of an `AntiphonError` that it raises.
            doc: One sentence that says what it does, for `docs/osc.md` and OSCQuery.
            timed: The handler makes commands with the request's time, which take effect at that sample. Otherwise it is
                called when the time of the message has come.

        Raises:
            PluginError: The address or its arguments are malformed, or the address exists already.
        """
        root = f"/{self.plugin.removeprefix('antiphon_')}/"
        if not _PATH.fullmatch(path) or not path.startswith(root):
            raise PluginError(f"an address of this plugin begins with {root} and has letters and digits, not {path!r}")
        if any(info.path == path for info, _ in self.added):
            raise PluginError(f"there is the address {path} already")
        words = args.split()
        parsed = [_ARGUMENT.fullmatch(word) for word in words]
        optional = [word.startswith("[") for word in words]
        repeated = [word.endswith("…") for word in words[:-1]]
        if not all(parsed) or any(repeated) or optional != sorted(optional):
            raise PluginError(f"arguments of {path} are written as s:name [f:fade], optional ones last, not {args!r}")
        if not callable(handler) or not doc:
            raise PluginError(f"{path} needs a function and a sentence on what it does")
        self.added.append((AddressInfo(path, args, doc, self.plugin, surfaces, timed), handler))
