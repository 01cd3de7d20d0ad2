"""Synth backends on the command line: their names in the help, and their options of `serve`.

Backends are asked for help, and for an option that is not the command's own: any other call imports none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from antiphon.synth.info import ServeOption

NAMES = "SYNTHS"
"""Placeholder for the names of the backends in the help of an option."""
OPTIONS = "antiphon.serve.synth_options"
"""Key of the values of backends' options, by name, in the context's `meta`."""


class SynthCommand(TyperCommand):
    """A command with the option `--synth`, whose help lists the backends."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help page."""
        from antiphon.synth.backends import infos

        named = ["auto", *(info.name for info in infos())]
        for param in self.params:
            text = getattr(param, "help", None) or ""
            param.help = text.replace(NAMES, f"{', '.join(named[:-1])} or {named[-1]}")  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)


class ServeCommand(SynthCommand):
    """The command `serve`, with the options that backends add."""

    _asked = False

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Adds the backends' options if a word is not one of the command's own options."""
        own = {name for param in self.params for name in param.opts}
        if not self._asked and any(word.startswith("--") and word.partition("=")[0] not in own for word in args):
            from antiphon.synth.backends import infos

            self._asked = True
            for info in infos():
                if info.option is not None and f"--{info.option.name}" not in own:
                    self.params.append(_option(info.option))
        return super().parse_args(ctx, args)


def option_values(ctx: typer.Context) -> dict[str, str]:
    """The values of the backends' options, by name."""
    options: dict[str, str] = ctx.meta.get(OPTIONS, {})
    return options


def _option(option: ServeOption) -> Any:
    """The option as an object of the library, made from a function's parameter like all others."""

    def keep(ctx: typer.Context, value: str) -> str:
        if value:
            ctx.meta.setdefault(OPTIONS, {})[option.name] = value
        return value

    def declaring(value: str = "") -> None:
        pass

    option_info = typer.Option(f"--{option.name}", help=option.doc, expose_value=False, callback=keep)
    declaring.__annotations__["value"] = Annotated[str, option_info]
    app = typer.Typer(add_completion=False)
    app.command()(declaring)
    return typer.main.get_command(app).params[0]
