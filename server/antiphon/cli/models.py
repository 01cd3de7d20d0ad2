"""`antiphon models`: lists weights and models, and whether the weights match their checksums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from antiphon.plugins.model_registry import Row, examined, known

HEAD = ("model", "plugin", "file", "size", "parameters", "runs on", "state")


def register(cli: typer.Typer) -> None:
    """Adds the command."""

    @cli.command("models")
    def models(
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
        models_dir: Annotated[Path | None, typer.Option("--models-dir", help="A folder of weights, to check.")] = None,
        plugins_dir: Annotated[Path | None, typer.Option("--plugins-dir", help="A folder of plugin folders.")] = None,
    ) -> None:
        """List models and verify their weights. Exit 1 if any are changed or missing."""
        import json

        from antiphon.cli.errors import complain
        from antiphon.workers import devices

        registered, failed = known(plugins_dir)
        rows = examined(registered, models_dir)
        build = devices.installed()
        if as_json:
            result = {"models": [asdict(row) for row in rows], "torch": build.version if build else None}
            typer.echo(json.dumps({**result, "cuda": bool(build and build.cuda), "device": devices.resolve("auto")}))
        else:
            for line in listing(rows, build.version if build else ""):
                typer.echo(line)
        problems = [*failed, *(row.problem for row in rows if row.problem)]
        for problem in problems:
            complain(problem)
        if problems:
            raise typer.Exit(1)


def listing(rows: Sequence[Row], torch: str) -> Iterator[str]:
    """Yields the lines to print. torch: the installed version, "" if it is not installed."""
    cells = [HEAD, *(_cells(row, torch) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
    for line in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    if torch:
        yield f"torch {torch} is installed"
    elif any(row.needs_torch for row in rows):
        yield "torch is not installed; models that need it cannot run; to install it: make models"


def _cells(row: Row, torch: str) -> tuple[str, ...]:
    size = f"{row.bytes / 1000:.0f} kB" if row.bytes < 1_000_000 else f"{row.bytes / 1e6:.1f} MB"
    state = f"{row.state}, torch not installed" if row.needs_torch and not torch else row.state
    return (
        row.name or "-",
        row.plugin or "-",
        row.file or "-",
        size if row.bytes else "-",
        f"{row.parameters:,}" if row.parameters else "-",
        ", ".join(row.devices) or "-",
        state,
    )
