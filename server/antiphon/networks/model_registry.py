"""Models registered by plugins, with the checksum state of their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.networks.info import FileListing, ModelInfo


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `antiphon models`."""

    name: str
    plugin: str
    file: str
    bytes: int  # size of its file, 0 without one
    parameters: int
    devices: tuple[str, ...]
    needs_torch: bool
    state: str
    problem: str = ""  # one sentence, "" if verified


def known_models(plugins_dir: Path | None = None) -> tuple[dict[str, ModelInfo], list[str]]:
    """Registered models by name, and a sentence for each whose description failed."""
    from antiphon.kernel.plugins.loader import load
    from antiphon.kernel.runtime.importing import reason_of
    from antiphon.networks.info import ModelFolder, ModelInfo

    infos: dict[str, ModelInfo] = {}
    failed = []
    for name, factory in load(plugins_dir, check=False).factories["models"].items():
        try:
            info = factory()
        except Exception as error:
            failed.append(f"the model {name} cannot be made: {reason_of(error)}")
            continue
        if isinstance(info, ModelInfo):
            infos[name] = info
        elif not isinstance(info, ModelFolder):
            failed.append(f"the factory of the model {name} gave {type(info).__name__}, not a ModelInfo")
    return infos, failed


def files(plugins_dir: Path | None = None) -> list[FileListing]:
    """User's model files, from every plugin that lists some. A new file is loaded once, which takes seconds."""
    from antiphon.kernel.plugins.loader import load
    from antiphon.networks.info import ModelFolder

    listings: list[FileListing] = []
    for factory in load(plugins_dir, check=False).factories["models"].values():
        try:
            folder = factory()
            listings += folder.listed() if isinstance(folder, ModelFolder) else []
        except Exception:
            continue  # `known_models` reports it
    return listings


def examine_models(registered: Mapping[str, ModelInfo], folder: Path | None = None) -> list[Row]:
    """A row for each manifest entry and each registered model. `folder`: replaces the folder of built-in weights.

    Entries whose plugin is in a distribution that is not installed are left out.
    """
    from antiphon.kernel.runtime import distributions, model_files

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
    absent = distributions.absent()
    return sorted((row for row in rows if row.plugin not in absent), key=lambda row: row.name)


def _row(name: str, weights: str, info: ModelInfo | None, folder: Path | None) -> Row:
    from antiphon.kernel.runtime import model_files, resources

    plugin, runs = (info.plugin, info.devices) if info else ("", ("cpu",))
    file, state, problem, size, parameters = "", "missing", "", 0, 0
    try:
        row = model_files.entry(weights, folder)
        file, plugin, parameters = Path(row["file"]).name, plugin or str(row.get("plugin", "")), _whole(row)
        path = (folder or resources.models()) / file
        if path.is_file():
            state, size = "changed", path.stat().st_size
        parameters = sum(array.size for array in model_files.weights(weights, folder).values())
        state = "verified"
    except model_files.ModelError as error:
        problem = f"{name}: {error}"
    except OSError as error:
        problem = f"{name}: {file} cannot be looked at: {error.strerror}"
    needs_torch = info is not None and not info.array_network
    return Row(name, plugin, file, size, parameters, runs, needs_torch, state, problem)


def _whole(row: Mapping[str, Any]) -> int:
    """Parameter count of a manifest entry; 0 if it states none."""
    count = row.get("parameters")
    return count if isinstance(count, int) else 0
