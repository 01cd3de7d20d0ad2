"""Output folder of a pipeline, locked by one run, with cleanup after killed runs."""

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
    """Context with an exclusive lock on the folder, created if missing.

    Raises `FileError`: another run has it, or it cannot be written.
    """
    with hold_lock(out / LOCK, f"another run writes to {out}: let it end, or give this one an `out` of its own"):
        _remove(path for path in _folder_contents(out) if TEMPORARY_NAME.fullmatch(path.name))
        yield


def remove_others(tasks: Sequence[ShardWork]) -> None:
    """Removes shards of a different shard count, whose items would be duplicates, and their lists of bad sounds.

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


def _folder_contents(out: Path) -> Iterator[Path]:
    """Contents of the folder two levels deep: training/FRAMEWORK is the deepest one written."""
    for pattern in (".*", "*/.*", "*/*/.*"):
        yield from out.glob(pattern)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise FileError(f"cannot remove {path}: {reason_of_os_error(error)}") from None
