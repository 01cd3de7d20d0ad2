"""The registrations of one kind, without loading all plugins."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from antiphon.kernel.errors import PluginError
from antiphon.kernel.plugins.hook_lists import hook_lists, import_plugins
from antiphon.kernel.runtime.importing import Factory, resolve


@dataclass(frozen=True, slots=True)
class Registration:
    """A factory that a plugin registered under a name. `doc`: one line for people."""

    factory: Factory
    doc: str = ""


def factories(kind: str) -> dict[str, Factory]:
    """Factories of `registrations` by name."""
    return {name: registration.factory for name, registration in registrations(kind).items()}


def registrations(kind: str) -> dict[str, Registration]:
    """Registrations of the hook `antiphon_KIND` by name; of duplicates the first, as in the loader.

    Only plugins that implement the hook are imported. A failing one is left out: the loader, `antiphon plugins` and
    `antiphon doctor` report it.
    """
    result: dict[str, Registration] = {}
    hook = f"antiphon_{kind}"

    def register(name: str, factory: str | Factory, doc: str = "") -> None:
        result.setdefault(name, Registration(resolve(factory), doc))

    import_plugins(hook_lists().implementing(hook), _left_out).call(hook, register=register)
    return result


def _left_out(name: str, error: BaseException) -> None:
    pass


@cache
def service(name: str) -> Any:
    """The service of that name, made once in a process. Raises PluginError: no plugin has registered it."""
    found = factories("services")
    if name not in found:
        raise PluginError(f"no plugin offers the service {name!r}; `antiphon plugins` says which plugins there are")
    return found[name]()
