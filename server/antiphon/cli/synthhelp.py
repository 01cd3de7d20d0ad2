"""Names of synth backends in the help of commands, imported only for the help."""

from typing import Any

from typer.core import TyperCommand

NAMES = "SYNTHS"
"""Placeholder for the names of the backends in the help of an option."""


class SynthCommand(TyperCommand):
    """A command with the option `--synth`, whose help lists the backends."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help page."""
        from antiphon.kernel.synth.backends import infos

        named = ["auto", *(info.name for info in infos())]
        for param in self.params:
            text = getattr(param, "help", None) or ""
            param.help = text.replace(NAMES, f"{', '.join(named[:-1])} or {named[-1]}")  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)
