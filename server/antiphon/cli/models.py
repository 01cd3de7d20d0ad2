"""`antiphon models`: what weights and models there are, and whether they are what they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from antiphon.workers.info import ModelInfo

HEAD = ("model", "plugin", "file", "size", "parameters", "runs on", "state")


@dataclass(frozen=True, slots=True)
class Row:
    """One model. bytes: of its file, 0 without one.  state: verified, changed or missing.  problem: one sentence."""

    name: str
    plugin: str
    file: str
    bytes: int
    parameters: int
    devices: tuple[str, ...]
    needs_torch: bool
    state: str
    problem: str = ""


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
            found = {"models": [asdict(row) for row in rows], "torch": build.version if build else None}
            typer.echo(json.dumps({**found, "cuda": bool(build and build.cuda), "device": devices.resolve("auto")}))
        else:
            for line in listing(rows, build.version if build else ""):
                typer.echo(line)
        problems = [*failed, *(row.problem for row in rows if row.problem)]
        for problem in problems:
            complain(problem)
        if problems:
            raise typer.Exit(1)


def known(plugins_dir: Path | None = None) -> tuple[dict[str, ModelInfo], list[str]]:
    """What plugins registered, by name, and a sentence for each that could not be made."""
    from antiphon.plugins.checks import reason_of
    from antiphon.plugins.loader import load
    from antiphon.workers.info import ModelInfo

    found: dict[str, ModelInfo] = {}
    failed = []
    for name, factory in load(plugins_dir, check=False).factories["models"].items():
        try:
            made = factory()
        except Exception as error:
            failed.append(f"the model {name} cannot be made: {reason_of(error)}")
            continue
        if isinstance(made, ModelInfo):
            found[name] = made
        else:
            failed.append(f"the factory of the model {name} gave {type(made).__name__}, not a ModelInfo")
    return found, failed


def examined(registered: Mapping[str, ModelInfo], folder: Path | None = None) -> list[Row]:
    """A row for each entry of the manifest and each registered model. folder: instead of Antiphon's own weights."""
    from antiphon.runtime import model_files

    rows, problem, named = [], "", []
    try:
        named = model_files.names(folder)
    except model_files.ModelError as error:
        problem = str(error)
    used = {info.weights: info for info in registered.values() if not info.folder}
    rows = [_row(name, name, used.get(name), folder) for name in named if name not in used]
    for name, info in registered.items():
        rows.append(_row(name, info.weights, info, Path(info.folder) if info.folder else folder))
    if problem and not any(problem in row.problem for row in rows):
        rows.append(Row("", "", model_files.MANIFEST, 0, 0, (), False, "missing", problem))
    return sorted(rows, key=lambda row: row.name)


def _row(name: str, weights: str, info: ModelInfo | None, folder: Path | None) -> Row:
    from antiphon.runtime import model_files, resources

    plugin, runs = (info.plugin, info.devices) if info else ("", ("cpu",))
    file, state, problem, size, parameters = "", "missing", "", 0, 0
    try:
        said = model_files.entry(weights, folder)
        file, plugin, parameters = Path(said["file"]).name, plugin or str(said.get("plugin", "")), _whole(said)
        path = (folder or resources.models()) / file
        if path.is_file():
            state, size = "changed", path.stat().st_size
        parameters = sum(array.size for array in model_files.weights(weights, folder).values())
        state = "verified"
    except model_files.ModelError as error:
        problem = f"{name}: {error}"
    except OSError as error:
        problem = f"{name}: {file} cannot be looked at: {error.strerror}"
    return Row(name, plugin, file, size, parameters, runs, info is not None, state, problem)


def _whole(said: Mapping[str, Any]) -> int:
    """The number of parameters a manifest's entry names; 0 when it names none."""
    count = said.get("parameters")
    return count if isinstance(count, int) else 0


def listing(rows: Sequence[Row], torch: str) -> Iterator[str]:
    """Lines for a person. torch: the installed version, "" without."""
    cells = [HEAD, *(_cells(row, torch) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
    for line in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    if torch:
        yield f"torch {torch} is installed"
    elif any(row.needs_torch for row in rows):
        yield "torch is not installed; models that need it wait for: make models"


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
