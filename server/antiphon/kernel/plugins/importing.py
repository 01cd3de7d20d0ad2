"""Imports the plugins that a process needs, and no others."""

from __future__ import annotations

from collections.abc import Callable, Collection

from antiphon.kernel.plugins.dispatcher import HookDispatcher
from antiphon.kernel.plugins.finding import sources


def import_plugins(wanted: Collection[str], failed: Callable[[str, BaseException], None]) -> HookDispatcher:
    """Imports plugins in the order in which they load, for their hooks to be called.

    `failed`: called with a plugin's name and the exception for each that cannot be imported; it is left out.
    """
    dispatcher = HookDispatcher()
    for source in sources():
        if source.name in wanted and not source.problem:
            try:
                dispatcher.add(source.name, source.importing())
            except (Exception, SystemExit) as error:
                failed(source.name, error)
    return dispatcher
