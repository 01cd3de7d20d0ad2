"""`antiphon train NAME`: makes a model's material and trains its weights, resuming where it was stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Protocol, runtime_checkable

import typer

from antiphon.api import UsageError
from antiphon.api.backends.cli import by_records, complete_named
from antiphon.api.backends.runtime import instead

_names = complete_named("trainings")
Data = Annotated[Path, typer.Option("--data", envvar="ANTIPHON_DATA", help="The folder of songs, loops and noises.")]
DATA = Path("data")
"""Default folder of material."""


@runtime_checkable
class TableTraining(Protocol):
    """A training without torch or material: it learns a column of the user's table."""

    def from_table(self, table: Path, target: str, out: Path | None, say: Callable[[str], None]) -> None:
        """Learns and installs the model, in `out` or the default folder."""


@dataclass(frozen=True, slots=True)
class Course:
    """How a model is trained: from which weights, for how long, on what."""

    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 1
    steps: Annotated[int, typer.Option(min=0, help="Training steps; 0 takes the recipe's.")] = 0
    minutes: Annotated[float, typer.Option(min=0.0, help="Time limit in minutes; 0 is none.")] = 0.0
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu"
    only_material: Annotated[bool, typer.Option("--only-material", help="Make the material, and stop.")] = False
    begin: Annotated[
        Path | None, typer.Option("--from", help="A folder of models: begin with its weights of the same name.")
    ] = None
    restart: Annotated[bool, typer.Option("--restart", help="From the first step, whatever there is.")] = False


@by_records
def train(
    name: Annotated[str, typer.Argument(help="What to train; --list shows what there is.", autocompletion=_names)] = "",
    folder: Annotated[Path | None, typer.Argument(help="Your own sounds or table, for what learns them.")] = None,
    data: Data = DATA,
    work: Annotated[Path | None, typer.Option("--work", help="Where material, checkpoint and log go.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Where the weights go; else models/, or the work folder where steps or minutes are given."
        ),
    ] = None,
    *,
    course: Course,
    target: Annotated[str, typer.Option("--target", help="The column of a table that is learned.")] = "popularity",
    listing: Annotated[bool, typer.Option("--list", help="Show what can be trained.")] = False,
) -> None:
    """Train a model: material by seed, a log and a curve, weights for models/. Stopped, it goes on where it was."""
    from antiphon.api.backends.files import cache_folder
    from antiphon.api.backends.models import models_folder

    recipes = _registered()
    if listing or not name:
        for each in sorted(recipes):
            typer.echo(each)
        return
    if name not in recipes:
        raise UsageError(f"nothing named {name!r} can be trained{instead(name, sorted(recipes))}")
    from antiphon_models.learning import needs

    with needs.explain_missing(name):
        training = recipes[name]()
        if isinstance(training, TableTraining):
            if folder is None:
                raise UsageError(f"antiphon train {name}: name a table of songs, a CSV file")
            training.from_table(folder, target, out, say)
            return
    place = work if work is not None else cache_folder() / "training"
    # a trial must not take the place of what ships
    shorter = bool(course.steps or course.minutes)
    weights = out or place / name / "weights" if out is not None or shorter else models_folder()
    with _folder_made(weights), needs.explain_missing(name):
        from antiphon_models.learning.making import TrainOptions, make

        wish = TrainOptions(name, data, place, weights, folder=folder, **asdict(course))
        with _Bar() as bar:
            if not make(recipes[name], wish, say, bar):
                raise typer.Exit(130)


@contextmanager
def _folder_made(folder: Path) -> Iterator[None]:
    """A writable folder, removed if it is new and stays empty."""
    from antiphon.api.backends.files import make_folder

    new = [path for path in (folder, *folder.parents) if not path.exists()]
    make_folder(folder)
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{folder} cannot be written to; name another folder with --out")
    try:
        yield
    finally:
        with suppress(OSError):
            for made in new:
                made.rmdir()


def _registered() -> dict[str, type]:
    from antiphon.api.backends.rendering import load_plugins

    return dict(load_plugins(None, check=False).factories["trainings"])  # type: ignore[arg-type]


def say(line: str) -> None:
    from antiphon.api.backends.cli import clear_progress

    clear_progress()
    typer.echo(line, err=True)


class _Bar:
    """A progress bar on a terminal."""

    def __init__(self) -> None:
        from antiphon.api.backends.cli import ProgressBar

        self._bar = ProgressBar("", 1000, 1)

    def __enter__(self) -> _Bar:
        self._bar.__enter__()
        return self

    def __exit__(self, *ended: object) -> None:
        self._bar.__exit__(None, None, None)

    def __call__(self, done: float, words: str) -> None:
        self._bar.label = words
        self._bar.update(round(1000 * done))
