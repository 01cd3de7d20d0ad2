"""`antiphon.ask`: an operation of a plugin, in this process."""

from typing import Any

from antiphon.kernel.contract.operations import PluginOperation
from antiphon.kernel.errors import UsageError
from antiphon.kernel.plugins.hook_lists import hook_lists, import_plugins
from antiphon.kernel.runtime.suggestion import instead
from antiphon.operations.wording import in_words


def offered() -> dict[str, PluginOperation]:
    """Operations of all plugins, by name; those of a plugin that fails are left out."""
    dispatcher = import_plugins(hook_lists().implementing("antiphon_operations"), lambda name, error: None)
    return {one.name: one for plugin in dispatcher.implemented for one in dispatcher.operations(plugin)[0]}


@in_words()
def ask(name: str, /, **given: Any) -> Any:
    """Asks a plugin's operation, as `antiphon.ask("library search", words=["night"])`; returns its answer.

    Raises AntiphonError: there is no such operation, an argument is not allowed, or the operation says so.
    """
    known = offered()
    if name not in known:
        raise UsageError(f"there is no operation {name!r}{instead(name, sorted(known))}")
    return known[name].ask(given)
