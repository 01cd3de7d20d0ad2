"""What plugins register of one kind, without loading the rest: for what needs it before, or without, a whole load."""

from __future__ import annotations

from antiphon.plugins.dispatcher import HookDispatcher
from antiphon.plugins.factories import Factory, resolve
from antiphon.plugins.finding import sources
from antiphon.plugins.hook_lists import hook_lists


def factories(kind: str) -> dict[str, Factory]:
    """By name, what the hook `antiphon_KIND` registers; of two with one name the first, as the loader has it.

    Only plugins that implement the hook are imported. One that fails is left out: the loader, `antiphon plugins` and
    `antiphon doctor` say why.

    Args:
        kind: One of `loader.KINDS`.
    """
    hook, found, dispatcher = f"antiphon_{kind}", {}, HookDispatcher()
    wanted = hook_lists().implementing(hook)

    def register(name: str, factory: str | Factory, doc: str = "") -> None:
        found.setdefault(name, resolve(factory))

    for source in sources():
        if source.name in wanted and not source.problem:
            try:
                dispatcher.add(source.name, source.importing())
            except (Exception, SystemExit):
                continue
            dispatcher.call(hook, only=source.name, register=register)
    return found
