"""`antiphon train NAME` and `antiphon evaluate NAME`.

A training generates a model's material and trains its weights; if interrupted, it resumes. An evaluation compares a
plugin with trivial, classical and peer systems on the same items.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, runtime_checkable

import click
from click.exceptions import Exit

from antiphon.api import UsageError
from antiphon.api.backends.runtime import argument, instead

if TYPE_CHECKING:
    from antiphon_models.learning.evaluation import Example, MetricValue

Data = Annotated[Path, argument("The folder of songs, loops and noises.", envvar="ANTIPHON_DATA")]
DATA = Path("data")
"""Default folder of material."""


@runtime_checkable
class TableTraining(Protocol):
    """A training without torch or material: it learns a column of the user's table."""

    def from_table(self, table: Path, target: str, out: Path | None, say: Callable[[str], None]) -> None:
        """Learns the model and installs it, in `out` or the default folder."""


@dataclass(frozen=True, slots=True)
class TrainingCourse:
    """Options of a training: initial weights, duration and material."""

    seed: Annotated[int, argument("Random seed.", low=0)] = 1
    steps: Annotated[int, argument("Training steps; 0 takes the recipe's.", low=0)] = 0
    minutes: Annotated[float, argument("Time limit in minutes; 0 is none.", low=0.0)] = 0.0
    device: Annotated[str, argument("cpu or cuda.")] = "cpu"
    only_material: Annotated[bool, argument("Make the material, and stop.")] = False
    begin: Annotated[
        Path | None, argument("A folder of models: begin with its weights of the same name.", flags="--from")
    ] = None
    restart: Annotated[bool, argument("From the first step, whatever there is.")] = False


def train(
    name: Annotated[str, argument("What to train; --list shows what there is.", placed=True, names="trainings")] = "",
    folder: Annotated[Path | None, argument("Your own sounds or table, for what learns them.", placed=True)] = None,
    data: Data = DATA,
    work: Annotated[Path | None, argument("Where material, checkpoint and log go.")] = None,
    out: Annotated[
        Path | None,
        argument("Where the weights go; else models/, or the work folder where steps or minutes are given."),
    ] = None,
    *,
    course: TrainingCourse,
    target: Annotated[str, argument("The column of a table that is learned.")] = "popularity",
    listing: Annotated[bool, argument("Show what can be trained.", flags="--list")] = False,
) -> None:
    """Train a model: material by seed, a log and a curve, weights for models/. Stopped, it goes on where it was."""
    from antiphon.api.backends.files import cache_folder
    from antiphon.api.backends.models import models_folder
    from antiphon.cli.progress import ProgressBar

    recipes = _registered()
    if listing or not name:
        for each in sorted(recipes):
            click.echo(each)
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
    with _create_output_folder(weights), needs.explain_missing(name):
        from antiphon_models.learning.making import TrainOptions, make

        wish = TrainOptions(name, data, place, weights, folder=folder, **asdict(course))
        with ProgressBar("", 1000, 1) as bar:

            def watch(done: float, words: str) -> None:
                bar.label = words
                bar.update(round(1000 * done))

            if not make(recipes[name], wish, say, watch):
                raise Exit(130)


@contextmanager
def _create_output_folder(folder: Path) -> Iterator[None]:
    """Creates a writable folder; removes it at the end if it is new and still empty."""
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
    from antiphon.cli.progress import clear as clear_progress

    clear_progress()
    click.echo(line, err=True)


@dataclass(frozen=True, slots=True)
class EvaluationScope:
    """Options of an evaluation: systems and items to measure."""

    system: Annotated[list[str] | None, argument("Only this one; may be given again.")] = None
    data: Data = DATA
    work: Annotated[Path | None, argument("Where what it makes is kept.")] = None
    seed: Annotated[int, argument("Random seed.", low=0)] = 1
    limit: Annotated[int, argument("Items at most; 0 for all.", low=0)] = 0


@dataclass(frozen=True, slots=True)
class Output:
    """Options for where figures and sounds are written."""

    json_file: Annotated[Path | None, argument("The figures as JSON, into a file.", flags="--json")] = None
    examples: Annotated[
        Path | None,
        argument("Write sounds into this folder: a few items, and what each system makes of them."),
    ] = None
    card: Annotated[bool, argument("Also put the figures into models/RESULTS.md.")] = False


def evaluate(
    name: Annotated[
        str, argument("What to evaluate; --list shows what there is.", placed=True, names="evaluations")
    ] = "",
    files: Annotated[list[Path] | None, argument("Your own, instead of its items.", "FILES", placed=True)] = None,
    *,
    measured: EvaluationScope,
    into: Output,
    listing: Annotated[bool, argument("Show what can be evaluated.", flags="--list")] = False,
) -> None:
    """Measure a plugin beside baselines and peers: a table with n and standard error, on its items or on your files."""
    import json

    from antiphon.api.backends.files import cache_folder, make_folder, write_atomic
    from antiphon.api.backends.rendering import load_plugins
    from antiphon_models.learning import evaluation as tables, needs

    if into.examples is not None and (into.json_file is not None or into.card):
        other = "--card" if into.card else "--json"
        raise UsageError(f"--examples writes sounds and no figures; leave out --examples or {other}")
    factories = load_plugins(None, check=False).factories["evaluations"]
    if listing or not name:
        for each in sorted(factories):
            click.echo(each)
        return
    if name not in factories:
        raise UsageError(f"nothing named {name!r} can be evaluated{instead(name, sorted(factories))}")
    with needs.explain_missing(name):
        evaluation = factories[name]()
    files = _list_files_to_measure(name, evaluation, files or ())
    ask = tables.EvaluationRequest(
        data=measured.data,
        work=make_folder((measured.work or cache_folder() / "evaluation") / name),
        seed=measured.seed,
        limit=measured.limit or None,
        systems=tuple(measured.system or ()),
        files=tuple(files),
        say=say,
    )
    tables.check(evaluation, ask)
    ask = tables.choose_material(evaluation, ask)
    if into.card:
        tables.check_card(ask)
    if not measured.limit:
        _warn_of_long_evaluation(name, evaluation, own=bool(files), chosen=bool(measured.system or into.card))
    with needs.explain_missing(name):
        if into.examples is not None:
            _write(evaluation.examples(ask), into.examples)
            return
        cells = tables.cells(evaluation, _shown(name, evaluation.scores(ask)))
    if not cells and ask.files:
        raise UsageError("none of your files was measured; the lines before this say why")
    if not cells:
        raise UsageError(f"nothing was measured; is {ask.data} the folder of songs, loops and noises?")
    click.echo("\n".join([*tables.table(evaluation, cells, own_files=bool(ask.files)), f"seed {ask.seed}"]))
    if into.json_file is not None:
        figures = tables.as_json(name, evaluation, ask, cells)
        write_atomic(into.json_file, (json.dumps(figures, indent=1) + "\n").encode())
    if into.card:
        click.echo(f"written into {tables.write_section(name, evaluation, ask, cells)}")


def _list_files_to_measure(name: str, evaluation: Any, paths: Iterable[Path]) -> list[Path]:
    """Files to measure: the named files, and the sound files in named folders."""
    files = [
        file
        for path in paths
        for file in ([path] if evaluation.takes_folder else evaluation.files_in(path, say) or _in_folder(path))
    ]
    for path in files:
        if not path.is_file() and not (evaluation.takes_folder and path.is_dir()):
            material = evaluation.files_doc or "its own items alone"
            what = f"{path} holds no files to measure" if path.is_dir() else f"there is no file {path}"
            raise UsageError(f"{what}; {name} is evaluated on {material}")
    return files


def _warn_of_long_evaluation(name: str, evaluation: Any, *, own: bool, chosen: bool) -> None:
    """Warns that all items are measured, and how to measure fewer. `chosen`: systems were named."""
    what = "your files" if own else "all its items"
    ours = "".join([each.name for each in evaluation.systems if each.role == "ours"][:1])
    fewer = [] if own else ["--limit 5 takes five items"]
    fewer += [f"--system {ours!r} takes one system"] if ours and not chosen else []
    measured = f"{name} is measured on {what}, which may take hours"
    say(f"{measured}; {', '.join(fewer)}" if fewer else measured)


def _in_folder(path: Path) -> list[Path]:
    """Sound files in a folder and its subfolders; if `path` is a file, that file."""
    from antiphon.api.backends.files import READ_SUFFIXES, SOUND_FORMATS

    if not path.is_dir():
        return [path]
    endings = {*READ_SUFFIXES, *SOUND_FORMATS}
    if not (found := sorted(file for file in path.rglob("*") if file.suffix.lower() in endings)):
        raise UsageError(f"{path} holds no sound files; their names end in {', '.join(sorted(endings))}")
    return found


def _write(examples: Iterator[Example], folder: Path) -> None:
    """Writes a numbered file per item, creating the folder for the first. Raises `UsageError`: there are no items."""
    from antiphon.api.backends.files import AudioWriter, make_folder

    items: dict[str, int] = {}
    for example in examples:
        number = items.setdefault(example.item, len(items) + 1)
        words = re.sub(r"[^a-z0-9+-]+", "-", f"{example.item} - {example.label}".lower()).replace("---", "--")
        path = make_folder(folder) / f"{number:02d}-{words}.wav"
        with AudioWriter(path, example.rate, 1, "PCM_24") as writer:
            writer.write(example.sound[None])
        click.echo(str(path))
    if not items:
        raise UsageError("this evaluation has no sounds to show; leave --examples out for its figures")


def _shown(name: str, scores: Iterator[MetricValue]) -> Iterator[MetricValue]:
    from antiphon.cli.progress import ProgressBar

    items: set[str] = set()
    with ProgressBar(name, None, 1) as bar:
        for score in scores:
            items.add(score.item)
            bar.label = f"{name}: {len(items)} items, {score.item}"
            bar.update(len(items))
            yield score
