"""Transports and synths of plugins for the command line: `doctor`, `devices` and options, with their help."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from antiphon.cli.command import Command
from antiphon.kernel.plugins.hook_lists import hook_lists, import_plugins
from antiphon.kernel.runtime.importing import reason_of, resolve

if TYPE_CHECKING:
    from antiphon.kernel.session.transport import Transport

log = logging.getLogger("antiphon.plugins")
HOOK = "antiphon_transports"
NAMES = "SYNTHS"
"""Placeholder for the names of the backends in the help of an option."""


def transports() -> list[tuple[str, Transport]]:
    """Yields (name, transport) in the order in which plugins load; one that fails to load is logged and left out."""
    from antiphon.kernel.session.transport import Transport

    result: dict[str, Transport] = {}

    def register(name: str, factory: str | Callable[[], Any], doc: str = "") -> None:
        transport = resolve(factory)()
        if isinstance(transport, Transport):
            result.setdefault(name, transport)

    def failed(name: str, error: BaseException) -> None:
        log.warning("plugin %s: %s", name, reason_of(error))

    dispatcher = import_plugins(hook_lists().plugins_with_hook(HOOK), failed)
    for failure in dispatcher.call(HOOK, register=register):
        log.warning("plugin %s: %s", failure.name, failure.reason)
    return list(result.items())


class SynthCommand(Command):
    """A command with the option `--synth`, whose help lists the backends."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help page."""
        from antiphon.backends.info import infos

        named = ["auto", *(info.name for info in infos())]
        for param in self.params:
            text = getattr(param, "help", None) or ""
            param.help = text.replace(NAMES, f"{', '.join(named[:-1])} or {named[-1]}")
        super().format_help(ctx, formatter)
