"""`antiphon models`: lists weights, models and the library's model files, and whether each can be played."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.terminal.errors import complain
from antiphon.kernel.runtime import extras
from antiphon.kernel.runtime.arguments import argument
from antiphon.networks.model_registry import Row, examine_models, files, known_models

if TYPE_CHECKING:
    from antiphon.networks.info import FileListing

FILE_HEAD = ("file", "size", "method", "in", "out", "rate", "hop", "latency", "state")
HEAD = ("model", "plugin", "file", "size", "parameters", "runs on", "state")


def models(
    as_json: Annotated[bool, argument("One JSON object instead of a table.", flags="--json")] = False,
    models_dir: Annotated[Path | None, argument("A folder of weights, to check.")] = None,
    plugins_dir: Annotated[Path | None, argument("A folder of plugin folders.")] = None,
) -> None:
    """List models and verify their weights, and the model files of the library. Exit 1 if any cannot be played."""
    import json

    from antiphon.kernel.workers import devices

    registered, failed = known_models(plugins_dir)
    rows = examine_models(registered, models_dir)
    own = files(plugins_dir)
    build = devices.installed_torch()
    if as_json:
        result = {
            "models": [asdict(row) for row in rows],
            "files": [asdict(row) for row in own],
            "torch": build.version if build else None,
        }
        typer.echo(json.dumps({**result, "cuda": bool(build and build.cuda), "device": devices.resolve("auto")}))
    else:
        for line in listing(rows, build.version if build else ""):
            typer.echo(line)
        for line in file_listing(own):
            typer.echo(line)
    problems = [
        *failed,
        *(row.problem for row in rows if row.problem),
        *(row.problem for row in own if row.problem),
    ]
    for problem in problems:
        complain(problem)
    if problems:
        raise typer.Exit(1)


def listing(rows: Sequence[Row], torch: str) -> Iterator[str]:
    """Yields the lines to print. `torch`: the installed version, "" if it is not installed."""
    yield from _table([HEAD, *(_cells(row, torch) for row in rows)])
    if torch:
        yield f"torch {torch} is installed"
    elif any(row.needs_torch for row in rows):
        commands = " and ".join(extras.commands("torch"))
        yield f"torch is not installed; models that need it cannot run; to install it: {commands}"


def file_listing(rows: Sequence[FileListing]) -> Iterator[str]:
    """Lines of the library's model files after an empty one; none without files."""
    if rows:
        yield ""
        yield from _table([FILE_HEAD, *(_file_cells(row) for row in rows)])


def _table(cells: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    for line in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _file_cells(row: FileListing) -> tuple[str, ...]:
    if not row.method:
        return row.file, _size(row.bytes), "-", "-", "-", "-", "-", "-", "refused"
    return (
        row.file,
        _size(row.bytes),
        row.method,
        _port(row.inputs, row.in_ratio),
        _port(row.outputs, row.out_ratio),
        f"{row.rate}" if row.rate else "any",
        f"{row.hop}",
        f"{row.latency} {row.source}",
        "refused" if row.problem else "ready",
    )


def _port(channels: int, ratio: int) -> str:
    return f"{channels} × sound" if ratio == 1 else f"{channels} × control / {ratio}"


def _size(count: int) -> str:
    return f"{count / 1000:.0f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"


def _cells(row: Row, torch: str) -> tuple[str, ...]:
    state = f"{row.state}, torch not installed" if row.needs_torch and not torch else row.state
    return (
        row.name or "-",
        row.plugin or "-",
        row.file or "-",
        _size(row.bytes) if row.bytes else "-",
        f"{row.parameters:,}" if row.parameters else "-",
        ", ".join(row.devices) or "-",
        state,
    )
