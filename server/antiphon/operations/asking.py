"""`antiphon.ask`: an operation, in this process."""

from typing import Any

from antiphon.kernel.contract.operations import SharedOperation
from antiphon.kernel.errors import UsageError
from antiphon.kernel.plugins.hook_lists import hook_lists, import_plugins
from antiphon.kernel.runtime.suggestion import instead
from antiphon.operations.lists import LISTS
from antiphon.operations.wording import called


def offered() -> dict[str, SharedOperation]:
    """Antiphon's operations and those of all plugins, by name; those of a plugin that fails are left out."""
    dispatcher = import_plugins(hook_lists().implementing("antiphon_operations"), lambda name, error: None)
    return LISTS | {one.name: one for plugin in dispatcher.implemented for one in dispatcher.operations(plugin)[0]}


@called
def ask(name: str, /, **given: Any) -> Any:
    """Asks an operation, as `antiphon.ask("library search", words=["night"])`; returns its answer.

    Raises AntiphonError: there is no such operation, an argument is not allowed, or the operation says so.
    """
    known = LISTS if name in LISTS else offered()
    if name not in known:
        raise UsageError(f"there is no operation {name!r}{instead(name, sorted(known))}")
    return known[name].ask(given)
