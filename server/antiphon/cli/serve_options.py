"""Options that transports and synths add to `antiphon serve`.

Transports are asked at each start, because they check their options anyway; synths only for help and for a word that
is no option yet, because asking them takes longer.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.transports import SynthCommand, transports

if TYPE_CHECKING:
    from antiphon.kernel.runtime.settings import ServeOption
    from antiphon.kernel.session.transport import Transport

GIVEN, TRANSPORTS = "antiphon.serve.given", "antiphon.serve.transports"
"""Keys in the context's `meta`: values of plugins' options, and the transports."""
_FOLLOWING_OPTION = "live"
"""Option before which the transports' options stand in the help."""
log = logging.getLogger("antiphon.plugins")


class ServeCommand(SynthCommand):
    """The command `serve`, with the options that plugins add."""

    _asked = False

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Adds the transports' options, and the synths' if a word is not an option yet."""
        if not self._asked:
            self._transports = [transport for _, transport in transports()]
            at = next(place for place, param in enumerate(self.params) if param.name == _FOLLOWING_OPTION)
            self._add(at, (option for transport in self._transports for option in transport.options))
            if any(word.startswith("--") and word.partition("=")[0] not in self._names() for word in args):
                from antiphon.kernel.synth.backends import infos

                self._add(len(self.params), (info.option for info in infos() if info.option is not None))
            self._asked = True
        ctx.meta[TRANSPORTS] = self._transports
        return super().parse_args(ctx, args)

    def _names(self) -> set[str]:
        return {name for param in self.params for name in param.opts}

    def _add(self, at: int, options: Iterable[ServeOption[Any]]) -> None:
        names, added = self._names(), []
        for option in options:
            if f"--{option.name}" in names:
                log.warning("a plugin adds the option --%s, which there is already; it has to be renamed", option.name)
            else:
                names.add(f"--{option.name}")
                added.append(_parameter(option))
        self.params[at:at] = _params(added)


def transports_of(ctx: typer.Context) -> list[Transport]:
    """Registered transports of plugins."""
    found: list[Transport] = ctx.meta[TRANSPORTS]
    return found


def given_options(ctx: typer.Context) -> dict[str, Any]:
    """Given values of plugins' options: `options` and `secrets` of `ServeSettings`."""
    values: dict[str, Any] = ctx.meta.get(GIVEN, {})
    return values


def _parameter(option: ServeOption[Any]) -> inspect.Parameter:
    """Signature parameter of an option, converted by typer."""
    repeated, kept = isinstance(option.default, tuple), "secrets" if option.secret else "options"

    def keep(ctx: typer.Context, value: Any) -> Any:
        value = tuple(value or ()) if repeated else value
        if value != option.default:
            ctx.meta.setdefault(GIVEN, {}).setdefault(kept, {})[option.name] = value
        os.environ.pop(option.envvar, None)  # the server's processes must not inherit a password
        return value

    declared = typer.Option(
        f"--{option.name}", help=option.doc, expose_value=False, callback=keep, envvar=option.envvar or None
    )
    return inspect.Parameter(
        f"plugin_{option.name.replace('-', '_')}",
        inspect.Parameter.KEYWORD_ONLY,
        default=None if repeated else option.default,
        annotation=Annotated[list[str] | None if repeated else type(option.default), declared],
    )


def _params(parameters: list[inspect.Parameter]) -> list[Any]:
    """Click options of a command with these parameters."""

    def declaring(**_given: Any) -> None:
        pass

    declaring.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False)
    app.command()(declaring)
    return [param for param in typer.main.get_command(app).params if param.name != "help"]
