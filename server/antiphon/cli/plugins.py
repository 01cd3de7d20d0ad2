"""`antiphon plugins`: what loaded and what did not, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from antiphon.catalog import Catalog
from antiphon.params import Param


def register(cli: typer.Typer) -> None:
    """Adds the command."""

    @cli.command("plugins")
    def plugins(
        plugins_dir: Annotated[Path | None, typer.Option("--plugins-dir", help="A folder of plugin folders.")] = None,
    ) -> None:
        """List the processor types that loaded, with their parameters, and the plugins that did not."""
        from antiphon.paths import plugins as own_folder
        from antiphon.plugins import load

        for line in listing(load(plugins_dir).catalog):
            typer.echo(line)
        typer.echo(f"your own plugins go into {plugins_dir or own_folder()}")


def listing(catalog: Catalog) -> Iterator[str]:
    """Lines for a person: each type, its plugin and doc, its parameters; then what failed."""
    for name in sorted(catalog):
        info = catalog[name]
        yield f"{name}  ({info.plugin})  {info.doc}".rstrip()
        ports = [f"{p.name} ({p.kind})" for p in info.inputs], [f"{p.name} ({p.kind})" for p in info.outputs]
        yield f"    in: {', '.join(ports[0]) or 'none'}; out: {', '.join(ports[1]) or 'none'}"
        for param in info.params:
            yield f"    {param.name}: {described(param)}"
    if catalog.failures:
        yield "did not load:"
    for failure in catalog.failures:
        yield f"    {failure.name}: {failure.reason}"


def described(param: Param) -> str:
    """ "0 to 2, default 1. Factor: 1 changes nothing." """
    if param.readonly:
        said = f"reported, {param.allowed}"
    elif param.kind == "trigger":
        said = "trigger"
    else:
        default = param.default
        shown = ("on" if default else "off") if param.kind == "switch" else default
        said = (
            f"{param.allowed}, default {f'{shown:g}' if isinstance(shown, float) else shown if shown != '' else 'none'}"
        )
    return f"{said}. {param.doc}".rstrip()
