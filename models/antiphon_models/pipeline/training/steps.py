"""Runs the steps train, evaluate and deploy on the existing shards."""

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from antiphon.api import FileError, PluginError, UsageError
from antiphon.api.backends.files import make_folder, path_inside, reason_of_os_error, write_atomic
from antiphon.api.backends.rendering import registrations
from antiphon.api.backends.runtime import require_modules
from antiphon.kernel.plugins.checks import check_type_name
from antiphon_classify.classifier_session import DETAILS, MODEL, ClassifierDetails, read_details
from antiphon_classify.labels import classifiers_folder
from antiphon_models.pipeline.apart import ParentLink, run_in_child
from antiphon_models.pipeline.settings import FRAMEWORKS, Framework, PipelineSettings, check_runtime, choose_frameworks
from antiphon_models.pipeline.shards import ShardTask, SourceItem, is_done
from antiphon_models.pipeline.training.evaluation import EvaluationRow, evaluate, notes_of
from antiphon_models.pipeline.training.excerpts import TrainingSet, make_set, read_set
from antiphon_models.pipeline.training.learning import EpochFigures, LearningJob, is_trained, learn

HOOK = "analyses"


@dataclass(frozen=True, slots=True)
class InstalledClassifier:
    """An installed classifier. `framework`: the one that trained it."""

    name: str
    framework: str
    path: str


def check_name(name: str) -> None:
    """Rejects invalid analysis names, and names of analyses that are not the performer's own.

    Raises `FileError`: the name is rejected.
    """
    try:
        check_type_name(name)
    except PluginError as error:
        raise FileError(f"{error} for the analysis that deploy makes: write deploy.name") from None
    if not (classifiers_folder() / name).is_dir() and name in registrations(HOOK):
        raise FileError(f"there is an analysis {name!r} already: give this one another name by deploy.name")


def deploy(job: LearningJob, name: str, framework: str, frameworks: Sequence[Framework]) -> InstalledClassifier:
    """Installs a classifier under `name`: of `framework`, or with "" the best on the validation split.

    Raises FileError: there is no such classifier, or it cannot be written.
    """
    wanted = [FRAMEWORKS[framework]] if framework else frameworks
    there = [one for one in wanted if is_trained(job, one)]
    if not there:
        which = f"of {framework} " if framework else ""
        raise FileError(f"{job.out} has no classifier {which}of these settings and shards: run the step train first")
    best = max(there, key=lambda one: _merit(read_details(job.folder(one))))
    folder = path_inside(classifiers_folder(), name)
    install(job.folder(best), folder, name)
    return InstalledClassifier(name, best.name, str(folder))


def install(source: Path, folder: Path, name: str) -> None:
    """Copies a classifier into `folder/name` atomically, replacing the previous one.

    Raises `FileError`: it cannot be written.
    """
    make_folder(folder.parent)
    fresh, old = (folder.with_name(f".{folder.name}.{kind}") for kind in ("new", "old"))
    try:
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
        fresh.mkdir()
        write_atomic(fresh / MODEL, (source / MODEL).read_bytes())
        write_atomic(fresh / DETAILS, replace(read_details(source), name=name).content())
        with contextlib.suppress(FileNotFoundError):
            folder.rename(old)
        fresh.rename(folder)
    except OSError as error:
        raise FileError(f"cannot write {folder}: {reason_of_os_error(error)}") from None
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)


def _merit(details: ClassifierDetails) -> tuple[float, float]:
    valid = details.about["valid"]
    if details.about.get("several"):  # nearly all labels of a sound are absent, so nearly all answers are right
        return 0.0, -float(valid["loss"])
    return float(valid["accuracy"]), -float(valid["loss"])


TRAINING_STEPS = ("train", "evaluate", "deploy")
LOG = "train.log"
"""File name of the frameworks' output."""
Progress = Callable[[Framework, int, EpochFigures], None]
"""Callback after each epoch with the number completed, and its figures."""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """Report of the training steps.

    Attributes:
        omitted: Number of omitted sounds: with several labels or none, or a label missing from the training split.
        evaluation: The table; empty without the step.
        installed: The installed classifier, or None.
    """

    trained: tuple[str, ...] = ()
    omitted: int = 0
    evaluation: tuple[EvaluationRow, ...] = ()
    notes: tuple[str, ...] = ()
    installed: InstalledClassifier | None = None


def check_steps(settings: PipelineSettings, steps: Sequence[str]) -> None:
    """Checks steps before any work.

    Raises `FileError`: the name for the classifier is invalid. `UsageError`: a framework, or the runtime of
    classifiers, is not installed.
    """
    if not set(steps) & set(TRAINING_STEPS):
        return
    require_modules("reading shards", ["pyarrow"])
    if "train" in steps:
        choose_frameworks(settings.train.frameworks)
    check_runtime()
    if "deploy" in steps:
        check_name(installed_name(settings))


def run_steps(
    settings: PipelineSettings,
    steps: Sequence[str],
    items: Sequence[SourceItem],
    tasks: Sequence[ShardTask],
    progress: Progress,
) -> TrainingReport:
    """Runs the given steps that are in `TRAINING_STEPS`; see `running.run`."""
    if left := [task.number for task in tasks if not is_done(task)]:
        raise FileError(f"shard {left[0]} is missing or was made with other settings: run the step preprocess first")
    training = make_set(settings.out, items, [task.path for task in tasks], settings.preprocess.bands, settings.train)
    if "train" in steps:
        training.check_folds(settings.train.folds)
        if "evaluate" in steps:  # it would refuse after hours of training
            training.check_test(settings.out, settings.train.test)
    job = LearningJob(settings.name, settings.out, settings.train, settings.preprocess.mel, training.shards)
    trained = (
        _train(job, able(choose_frameworks(settings.train.frameworks), settings, training), progress)
        if "train" in steps
        else []
    )
    # what is there may have been trained elsewhere, with a framework that is not installed here
    those = [FRAMEWORKS[name] for name in settings.train.frameworks or FRAMEWORKS]
    rows = evaluate(job, those, training) if "evaluate" in steps else []
    installed = deploy(job, installed_name(settings), settings.deploy.framework, those) if "deploy" in steps else None
    notes = notes_of(job, rows, training) if rows else []
    return TrainingReport(tuple(trained), training.omitted, tuple(rows), tuple(notes), installed)


def able(frameworks: Sequence[Framework], settings: PipelineSettings, training: TrainingSet) -> list[Framework]:
    """Frameworks able to train this set. Raises `UsageError`: a named one is not, or none is."""
    able = [framework for framework in frameworks if framework.several or not training.several]
    unable = [framework.name for framework in frameworks if framework not in able]
    if unable and (settings.train.frameworks or not able):
        raise UsageError(f"{unable[0]} trains sounds with one label each: leave it out of train.frameworks")
    return able


def _train(job: LearningJob, frameworks: Sequence[Framework], progress: Progress) -> list[str]:
    """Trains missing classifiers; for each framework first on the set's splits, then on the folds."""
    folds = job.settings.folds
    jobs = [replace(job, fold=fold) for fold in range(-1, folds)]
    undone = [(one, framework) for framework in frameworks for one in jobs if not is_trained(one, framework)]
    for one, framework in undone:
        title = framework.title if one.fold < 0 else f"{framework.title}, fold {one.fold + 1} of {folds}"
        named = replace(framework, title=title)

        def watch(epoch: int, figures: EpochFigures, shown: Framework = named) -> None:
            progress(shown, epoch, figures)

        run_in_child(_learn, (one, framework.name), one.out / LOG, f"trains {framework.name}", watch)
    return list(dict.fromkeys(framework.name for _, framework in undone))


def _learn(link: ParentLink, job: LearningJob, name: str) -> None:
    """Trains a framework, in a separate process."""
    training = read_set(job.out)
    if training is None:
        raise FileError(f"{job.out} has no training set; run the step train again")
    if job.fold >= 0:
        training = training.fold(job.fold, job.settings.folds)
    learn(job, FRAMEWORKS[name], training, link.send)


def installed_name(settings: PipelineSettings) -> str:
    """Name of the analysis installed by the step deploy."""
    return settings.deploy.name or settings.name
