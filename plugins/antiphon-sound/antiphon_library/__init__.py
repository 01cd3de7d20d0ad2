"""Library: the catalogue of sound files, with its command, HTTP, OSC, and service for plugins."""

from typing import Any

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_services(register: Register) -> None:
    """Registers `catalogue`."""
    register("catalogue", "antiphon_library.service:CatalogueOfSounds", "Sound files, and what analyses found in them.")


@hookimpl
def antiphon_commands(cli: Any) -> None:
    """Adds `antiphon library`."""
    from antiphon_library.commands.personality import application

    cli.add_command(application())


@hookimpl
def antiphon_routes(http: Any) -> None:
    """Adds the operations below `/api/library`."""
    from antiphon_library.routes import LibraryRoutes

    LibraryRoutes(http)


@hookimpl
def antiphon_operations(operations: Any) -> None:
    """Adds `library search` and the other operations that are available at every door."""
    from antiphon_library.operations import add_to

    add_to(operations)
