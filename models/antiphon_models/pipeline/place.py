"""The folder that a pipeline writes to: one run at a time has it, and removes what a run that was killed has left."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from antiphon.api import FileError
from antiphon.api.backends.files import TEMPORARY_NAME, hold_lock, reason_of_os_error
from antiphon_models.pipeline.shards import ShardWork

LOCK = ".lock"
_SHARD = re.compile(r"\d{5}\.(parquet|jsonl)")


@contextlib.contextmanager
def claim_folder(out: Path) -> Iterator[None]:
    """Has the folder for this run alone, within a context; it is made where there is none.

    Raises `FileError`: another run has it, or it cannot be written.
    """
    with hold_lock(out / LOCK, f"another run writes to {out}: let it end, or give this one an `out` of its own"):
        _remove(path for path in _below(out) if TEMPORARY_NAME.fullmatch(path.name))
        yield


def remove_others(tasks: Sequence[ShardWork]) -> None:
    """Removes shards of another number of shards, which would hold items twice, and their lists of bad sounds.

    Raises `FileError`: one cannot be removed.
    """
    wanted = {task.path.stem for task in tasks}
    folders = {path.parent for task in tasks for path in (task.path, task.dead) if path.parent.is_dir()}
    _remove(
        path
        for folder in sorted(folders)
        for path in sorted(folder.iterdir())
        if _SHARD.fullmatch(path.name) and path.stem not in wanted
    )


def _below(out: Path) -> Iterator[Path]:
    """What is in the folder and the folders in it, two deep: training/FRAMEWORK is the deepest that is written to."""
    for pattern in (".*", "*/.*", "*/*/.*"):
        yield from out.glob(pattern)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise FileError(f"cannot remove {path}: {reason_of_os_error(error)}") from None
