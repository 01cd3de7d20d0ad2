"""Journal of results, one JSON object per line, from which the next run resumes."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from antiphon.api import FileError
from antiphon.api.backends.files import lock_file, reason_of_os_error


class ResultJournal:
    """Appendable file of JSON lines, as a context manager.

    A line that a killed run left incomplete is removed. Each line is with the system before `put` returns, whole or not
    at all. One process at a time has the file.

    `path`: the file; made where there is none. `echo`: called with each line as well. `done`: by name (size, time) of
    the files that are in it. Raises `FileError`: it cannot be written, another process has it, or it holds something
    else.
    """

    def __init__(self, path: Path, echo: Callable[[str], None] = lambda _: None) -> None:
        self.done: dict[str, tuple[int, int]] = {}
        self._path, self._echo = path, echo
        descriptor = lock_file(path, 0o666)
        if descriptor is None:
            raise FileError(f"another `pipeline watch` writes {path}: end it, or name another file by --into")
        self._file = open(descriptor, "a+b", buffering=0)  # noqa: SIM115
        try:
            self._resume()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ResultJournal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def put(self, row: Mapping[str, Any]) -> None:
        """Adds a line. Raises `FileError`: the disk is full, or gone."""
        line = json.dumps(row, allow_nan=False)
        left, whole = memoryview(line.encode() + b"\n"), os.fstat(self._file.fileno()).st_size
        try:
            while left:  # the last bytes of a disk take part of a line
                left = left[self._file.write(left) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), whole)
            raise FileError(f"cannot write {self._path}: {reason_of_os_error(error)}") from None
        self._echo(line)

    def _resume(self) -> None:
        whole = 0
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                try:
                    row = json.loads(line)
                    size, mtime = row.get("size"), row.get("mtime")
                    name = row["name"]
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise FileError(
                        f"line {number} of {self._path} is no result: move the file elsewhere, or name another one"
                    ) from None
                if isinstance(size, int) and isinstance(mtime, int):
                    self.done[str(name)] = (size, mtime)
        os.ftruncate(self._file.fileno(), whole)
