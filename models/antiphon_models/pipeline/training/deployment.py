"""Step deploy: installs a classifier among the performer's own, as an analysis."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from antiphon.api import FileError, PluginError
from antiphon.api.backends.files import make_folder, path_inside, reason_of_os_error, write_atomic
from antiphon.api.backends.rendering import check_type_name, registrations
from antiphon_classify.classifier_file import DETAILS, MODEL, ClassifierDetails, classifiers_folder, read_details
from antiphon_models.pipeline.frameworks import FRAMEWORKS, Framework
from antiphon_models.pipeline.training.learning import LearningJob, is_trained

HOOK = "analyses"


@dataclass(frozen=True, slots=True)
class InstalledClassifier:
    """An installed classifier. `framework`: of its training."""

    name: str
    framework: str
    path: str


def check_name(name: str) -> None:
    """Rejects names invalid for an analysis, and those of analyses that are not the performer's own.

    Raises `FileError`: it is such a name.
    """
    try:
        check_type_name(name)
    except PluginError as error:
        raise FileError(f"{error} for the analysis that deploy makes: write deploy.name") from None
    if not (classifiers_folder() / name).is_dir() and name in registrations(HOOK):
        raise FileError(f"there is an analysis {name!r} already: give this one another name by deploy.name")


def deploy(job: LearningJob, name: str, framework: str, frameworks: Sequence[Framework]) -> InstalledClassifier:
    """Installs a classifier: of the named framework, or the best on the validation split.

    Args:
        name: That it gets, which `check_name` allows.
        framework: A name; "" for the best.

    Raises:
        FileError: There is none, or it cannot be written.
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
