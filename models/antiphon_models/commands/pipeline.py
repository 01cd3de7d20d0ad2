"""`antiphon pipeline`: trains classifiers from data sets and runs them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

if TYPE_CHECKING:
    from antiphon_models.pipeline.settings import Framework
    from antiphon_models.pipeline.training.learning import EpochFigures
    from antiphon_models.pipeline.training.steps import TrainingReport

from antiphon.api.backends.cli import CommandGroup, Json, command_group, epilog
from antiphon.api.backends.runtime import argument

SENTENCE = "Make classifiers of data sets: spectrograms computed, networks trained, measured and installed."
MAX_SHOWN = 10
"""Maximum printed bad sounds, and classes in a warning; `--json` prints them all."""
MAX_CLASSES = 40
"""Maximum number of classes with printed counts."""
HINT = 'add sounds, or change train.test and train.valid; gather.group = "none" where the sounds of a group differ'


def application() -> CommandGroup:
    """The group of commands."""
    app = command_group("pipeline", SENTENCE)
    app.command("run", epilog=epilog("antiphon pipeline run pipeline.toml"))(run)
    app.command("watch", epilog=epilog("antiphon pipeline watch watch.toml"))(watch)
    return app


def run(
    file: Annotated[Path, argument("A pipeline.toml.")],
    runner: Annotated[str, argument("direct, dask, flink, spark or dataflow, of Beam.")] = "direct",
    steps: Annotated[
        str,
        argument("Any of gather, preprocess, stems, analyse, train, evaluate, deploy, predict."),
    ] = "gather,preprocess",
    workers: Annotated[int, argument("Processes, of direct and dask.", low=1, high=256)] = 2,
    option: Annotated[list[str] | None, argument("An option of Beam's own; may be given again.")] = None,
    as_json: Json = False,
) -> None:
    """Run the unfinished steps of a pipeline. A run killed at any time is completed by the next one."""
    from antiphon.api.backends.cli import complain
    from antiphon_models.pipeline import running, settings

    chosen = settings.chosen_steps(steps)
    report = running.run(
        settings.load(file),
        chosen,
        runner=runner,
        workers=workers,
        options=option or (),
        progress=_print_epoch,
        begins=_print_work,
    )
    if as_json:
        click.echo(json.dumps(asdict(report)))
        return
    for step, counts in report.analysed.items():
        click.echo(f"{step}: {', '.join(f'{count:,} {word}' for word, count in counts.items())}")
    splits = ", ".join(f"{name or 'in none'} {count:,}" for name, count in report.splits.items())
    if report.items:
        shards = f"{report.shards} shards, {report.computed} computed now"
        click.echo(f"{report.out}: {sum(report.splits.values()):,} sounds (the data set's splits: {splits}), {shards}")
    _print_classes(report.classes)
    for number, (name, reason) in enumerate(report.dead.items()):
        if number == MAX_SHOWN:
            complain(f"and {len(report.dead) - MAX_SHOWN:,} more; {report.out}/manifest.json names them")
            break
        complain(f"{name} is left out: {reason}")
    _print_training(report.training)
    if left := settings.following(chosen):
        click.echo(f"left: {', '.join(left)}; next: antiphon pipeline run {file} --steps {','.join(left)}")


def _print_training(training: TrainingReport | None) -> None:
    """Prints the results of the steps train, evaluate and deploy."""
    from antiphon.api.backends.cli import complain
    from antiphon_models.pipeline.training.evaluation import table

    if training is None:
        return
    if training.omitted:
        complain(f"{training.omitted:,} sounds are not trained on: without one label that the training split has")
    if training.evaluation:
        click.echo(table(training.evaluation))
        for note in training.notes:
            click.echo(note)
    if training.installed:
        name, framework, path = training.installed.name, training.installed.framework, training.installed.path
        click.echo(f"{framework}'s classifier is in {path}: antiphon library analyse FILE --only {name}")


def watch(
    file: Annotated[Path, argument("A pipeline.toml with a table [watch].")],
    into: Annotated[Path | None, argument("JSON lines with the results; else OUT/watch.jsonl.", "FILE")] = None,
    quiet: Annotated[bool, argument("Print no results.")] = False,
) -> None:
    """Analyse sounds as they arrive, in a folder and over MQTT: a JSON object a line, until Ctrl-C."""
    from antiphon.api import UsageError
    from antiphon.api.backends.cli import complain
    from antiphon_models.pipeline import settings, stream_mqtt

    chosen = settings.load(file)
    if chosen.watch is None:
        raise UsageError(f'{file} has no table [watch] with path = "FOLDER", where sounds arrive')
    path = chosen.watch.path
    counts = stream_mqtt.watch(
        chosen.watch,
        into or chosen.out / "watch.jsonl",
        (lambda _: None) if quiet else lambda line: click.echo(line),
        ready=lambda: click.echo(f"sounds that arrive in {path} are analysed; Ctrl-C ends it", err=True),
    )
    complain(", ".join(f"{count:,} {word}" for word, count in counts.items()))


def _print_classes(classes: Mapping[str, Mapping[str, int]]) -> None:
    """Prints the sounds of each class by split of the training, and warns of classes missing from a split."""
    from antiphon.api.backends.cli import complain

    for number, (name, counts) in enumerate(classes.items()):
        if number == MAX_CLASSES:
            click.echo(f"  and {len(classes) - MAX_CLASSES:,} more classes; manifest.json has them")
            break
        click.echo(f"  {name}: {', '.join(f'{split} {count:,}' for split, count in counts.items())}")
    lacking = []
    for split in next(iter(classes.values()), {}):
        if without := [name for name, counts in classes.items() if not counts[split]]:
            more = f" and {len(without) - MAX_SHOWN:,} more" if len(without) > MAX_SHOWN else ""
            lacking.append(f"{split} has no sound of {', '.join(without[:MAX_SHOWN])}{more}")
    if lacking:
        complain(f"{'; '.join(lacking)}: {HINT}")


def _print_work(shards: int, folder: Path) -> None:
    click.echo(f"computing {shards:,} shards into {folder}; stopped at any time, the next run goes on", err=True)


def _print_epoch(framework: Framework, epoch: int, figures: EpochFigures) -> None:
    click.echo(
        f"{framework.title}: epoch {epoch}, loss {figures.loss:.3f}, accuracy {figures.accuracy:.3f}, "
        f"validation {figures.valid_accuracy:.3f}",
        err=True,
    )
