"""Services: what one plugin registers by `antiphon_services` for others, which do not import it."""

from __future__ import annotations

from functools import cache
from typing import Any

from antiphon.kernel.errors import PluginError
from antiphon.kernel.plugins.registry import factories


@cache
def service(name: str) -> Any:
    """The service that a plugin registered under a name, made once in a process.

    Raises PluginError: no plugin has registered it.
    """
    found = factories("services")
    if name not in found:
        raise PluginError(f"no plugin offers the service {name!r}; `antiphon plugins` says which plugins there are")
    return found[name]()
