"""The step deploy: installs a classifier among the performer's own, from where it is an analysis."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from antiphon.contract.classifier_file import DETAILS, MODEL, ClassifierDetails, classifiers_folder, read_details
from antiphon.errors import FileError
from antiphon.pipeline.settings import DeploySettings
from antiphon.pipeline.training.frameworks import FRAMEWORKS, Framework
from antiphon.pipeline.training.learning import LearningJob, is_trained
from antiphon.runtime import paths

HOOK = "analyses"


@dataclass(frozen=True, slots=True)
class InstalledClassifier:
    """What was installed.

    Attributes:
        name: Of the analysis.
        framework: That it was trained with.
        path: Its folder.
    """

    name: str
    framework: str
    path: str


def deploy(job: LearningJob, settings: DeploySettings, frameworks: Sequence[Framework]) -> InstalledClassifier:
    """Installs the classifier that the settings name, or the best on the validation split.

    Args:
        job: The training that it is from.
        settings: Its name and framework.
        frameworks: Among which it is chosen.

    Returns:
        What is there now.

    Raises:
        FileError: There is none, its name is that of another analysis, or it cannot be written.
    """
    wanted = [FRAMEWORKS[settings.framework]] if settings.framework else frameworks
    there = [framework for framework in wanted if is_trained(job, framework)]
    if not there:
        which = f"of {settings.framework} " if settings.framework else ""
        raise FileError(f"{job.out} has no classifier {which}of these settings and shards: run the step train first")
    best = max(there, key=lambda framework: _merit(read_details(job.folder(framework))))
    name = settings.name or job.name
    folder = paths.inside(classifiers_folder(), name)
    if not folder.exists() and _is_taken(name):
        raise FileError(f"there is an analysis {name!r} already: give this one another name by deploy.name")
    install(job.folder(best), folder, name)
    return InstalledClassifier(name, best.name, str(folder))


def install(source: Path, folder: Path, name: str) -> None:
    """Copies a classifier into a folder of its own, in place of the one before: the whole of it or nothing.

    Args:
        source: Its folder in the pipeline's.
        folder: Where it goes.
        name: That it has there.

    Raises:
        FileError: It cannot be written.
    """
    paths.make_folder(folder.parent)
    fresh, old = (folder.with_name(f".{folder.name}.{kind}") for kind in ("new", "old"))
    try:
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
        fresh.mkdir()
        paths.write_atomic(fresh / MODEL, (source / MODEL).read_bytes())
        paths.write_atomic(fresh / DETAILS, replace(read_details(source), name=name).content())
        with contextlib.suppress(FileNotFoundError):
            folder.rename(old)
        fresh.rename(folder)
    except OSError as error:
        raise FileError(f"cannot write {folder}: {paths.why(error)}") from None
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)


def _merit(details: ClassifierDetails) -> tuple[float, float]:
    valid = details.about["valid"]
    return float(valid["accuracy"]), -float(valid["loss"])


def _is_taken(name: str) -> bool:
    from antiphon.plugins.registry import registrations

    return name in registrations(HOOK)
