"""Records a set for `antiphon replay`: input and output as sound files, and the log of played messages."""

import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.runtime import paths
from antiphon.recording.take import MIN_FREE_BYTES, SYNC_SECONDS, RecordedTake, TakeFile, describe_take, put

LOG = "session.jsonl"


class SetTake(RecordedTake):
    """Writes a set, from the block at which it begins according to the journal."""

    taps = records_input = True

    def __init__(self, folder: Path, _memory: object, channels: int, header: Mapping[str, Any]) -> None:
        """Begins in an empty folder. `header`: the first line of the log, with the rate and frames of a block."""
        super().__init__(folder, f"the set in {folder} ends here", "the recorded set may lack its end")
        self._files: list[TakeFile] = []
        log = folder / LOG
        try:
            for name in ("input.wav", "output.wav"):
                self._files.append(TakeFile(folder / name, header["rate"], channels, "FLOAT"))
            paths.reserve(log, MIN_FREE_BYTES, paths.PRIVATE)
            self._log = log.open("w", encoding="utf-8")
            self._log.write(json.dumps(header) + "\n")
            self._log.flush()
        except Exception:
            for file in self._files:
                file.cut()
            log.unlink(missing_ok=True)
            paths.drop_empty(folder)
            raise
        self.first, self._block, self._synced = -1, header["block"], 0.0

    @property
    def size(self) -> int:
        return sum(file.size for file in self._files)

    def read(self, lines: Sequence[dict[str, Any]]) -> None:
        for line in lines:
            if "tracks" in line or "heard" in line or (line.get("engine") == "joined" and self.first >= 0):
                continue  # of the tracks that are recorded beside this session
            if self.first < 0 and "engine" in line:
                self.first = line["sample"] // self._block
            self._log.write(json.dumps(line) + "\n")

    def turn(self, end: int) -> None:
        self._log.flush()
        if time.monotonic() - self._synced > SYNC_SECONDS:
            # in the same interval as the sound, so that a power cut does not leave sound without its log
            self._synced = time.monotonic()
            os.fsync(self._log.fileno())

    def blocks(self, first: int, out: Samples, into: Samples | None) -> None:
        assert into is not None
        skipped = len(out) if self.first < 0 else max(0, self.first - first)
        for file, sound in zip(self._files, (into, out), strict=True):
            put(file, sound[skipped:].reshape(-1, sound.shape[-1]))

    def close(self) -> None:
        with contextlib.ExitStack() as ending:  # each, whichever fails
            ending.callback(self._log.close)
            for file in self._files:
                ending.callback(file.close)

    def cut(self) -> None:
        for file in self._files:
            file.cut()
        with contextlib.suppress(OSError):  # its buffer still holds the line that did not fit
            self._log.close()

    def __str__(self) -> str:
        if not self._files[1].frames:
            return f"nothing was recorded in {self.name}: the set had not begun"
        return describe_take(self.name, self._files[1].seconds, self.size)
