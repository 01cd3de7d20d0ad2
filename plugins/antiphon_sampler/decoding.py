"""The parent's side of the process that decodes samples: starts it, sends it paths, reads sound, ends it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api import FileError, Samples
from antiphon.api.files import check_header
from antiphon.api.processes import HELPER_FAULTS, HelperProcess
from antiphon_sampler.decoding_child import EMPTY, HOURS, LONG
from antiphon_sampler.library import sample_name

STALL = 10.0
"""Seconds without a byte before a file is given up: a disk that hangs."""


@dataclass(frozen=True, slots=True)
class DecodedFile:
    """Result of decoding a file.

    Attributes:
        sound: float32 `[1 or 2, frames]`; of a file that is longer than asked for no frames.
        frames: Frames of the whole file, at the stream's rate.
    """

    sound: Samples
    frames: int


class SampleDecoder:
    """A process that decodes one file, or a part of one, after the other; where it has ended, it is started again."""

    def __init__(self, rate: int, seconds: float) -> None:
        """Starts nothing yet. A sound of more than `seconds` is not decoded whole."""
        self._rate, self._frames = rate, round(seconds * rate)
        self._process: HelperProcess | None = None

    def read(self, path: Path) -> DecodedFile:
        """Decodes a file, or finds the length of a long one.

        Args:
            path: The file.

        Raises:
            FileError: It cannot be played; the sentence names it by its folder's name and its own.
        """
        check_header(path, sample_name(path))
        return self._request(path, {}, self._frames + 2)

    def read_part(self, path: Path, first: int, frames: int) -> Samples:
        """Decodes a part of a file at the stream's rate: float32 `[1 or 2, frames]`.

        `first` may be below 0; beyond the file's ends there is silence. A file whose parts are read in order is decoded
        once.

        Raises:
            FileError: As `read`.
        """
        return self._request(path, {"first": first, "frames": frames}, frames).sound

    def start(self) -> None:
        """Starts the process, which takes a while, before the first file is asked for."""
        if self._process is None:
            self._process = HelperProcess("antiphon_sampler.decoding_child", str(self._rate), str(self._frames))

    def close(self) -> None:
        """Ends the process. `read` would start another."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _request(self, path: Path, part: dict[str, int], most: int) -> DecodedFile:
        shown = sample_name(path)
        try:
            self.start()
            assert self._process is not None
            self._process.send({"path": os.fspath(path), **part})
            answer, data = self._process.receive(most=8 * most, silence=STALL)
            if "problem" not in answer:
                return DecodedFile(np.frombuffer(data, np.float32).reshape(answer["shape"]), int(answer["frames"]))
        except (*HELPER_FAULTS, KeyError, TypeError):
            self.close()
            raise FileError(
                f"{shown} is not played: decoding it took too long or ended its decoder; it is broken, make it again"
            ) from None
        raise FileError(_refusal(shown, str(answer["problem"])))


def _refusal(shown: str, reason: str) -> str:
    if reason == LONG:
        return f"{shown} is not played: it is longer than {HOURS} hours; cut it into parts"
    if reason == EMPTY:
        return f"{shown} is not played: there is nothing in it"
    return f"cannot read {shown}: {reason}"
