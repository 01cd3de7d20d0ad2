"""The parent's side of the process that decodes samples: starts it, sends it paths, reads sound, ends it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import FileError, Samples
from antiphon.api.files import check_header
from antiphon_sampler.decoding_child import EMPTY, HEADER, HOURS, LONG
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
        """Starts nothing yet.

        Args:
            rate: To which files are resampled, in Hz.
            seconds: The longest sound that is decoded whole.
        """
        self._rate, self._frames = rate, round(seconds * rate)
        self._process: subprocess.Popen[bytes] | None = None

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
        """Decodes a part of a file. A file whose parts are read in order is decoded once.

        Args:
            path: The file.
            first: First frame, at the stream's rate; may be below 0.
            frames: How many; beyond the file's ends there is silence.

        Returns:
            float32 `[1 or 2, frames]`.

        Raises:
            FileError: As `read`.
        """
        return self._request(path, {"first": first, "frames": frames}, frames).sound

    def start(self) -> None:
        """Starts the process, which takes a while, before the first file is asked for."""
        if self._process is None:
            command = [sys.executable, "-P", str(Path(__file__).with_name("decoding_child.py")), str(self._rate)]
            self._process = subprocess.Popen(
                [*command, str(self._frames)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )

    def close(self) -> None:
        """Ends the process. `read` would start another."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()

    def _request(self, path: Path, part: dict[str, int], most: int) -> DecodedFile:
        shown = sample_name(path)
        try:
            channels, size, frames = self._ask({"path": os.fspath(path), **part})
            if channels == 0:
                raise FileError(_refusal(shown, self._exactly(size).decode(errors="replace")))
            if channels > 2 or size > most:
                raise EOFError
            data = self._exactly(4 * channels * size)
        except (EOFError, OSError, struct.error):
            self.close()
            raise FileError(
                f"{shown} is not played: decoding it took too long or ended its decoder; it is broken, make it again"
            ) from None
        return DecodedFile(np.frombuffer(data, np.float32).reshape(channels, size), frames)

    def _ask(self, request: dict[str, Any]) -> tuple[int, int, int]:
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        # JSON in ASCII: a name that is no UTF-8 arrives as it is
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        channels, size, frames = struct.unpack(HEADER, self._exactly(struct.calcsize(HEADER)))
        return int(channels), int(size), int(frames)

    def _exactly(self, size: int) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        data = bytearray()
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        deadline = time.monotonic() + STALL
        while len(data) < size:
            if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000.0):
                raise EOFError
            piece = os.read(fd, min(size - len(data), 1 << 20))
            if not piece:
                raise EOFError
            data += piece
            deadline = time.monotonic() + STALL
        return bytes(data)


def _refusal(shown: str, reason: str) -> str:
    if reason == LONG:
        return f"{shown} is not played: it is longer than {HOURS} hours; cut it into parts"
    if reason == EMPTY:
        return f"{shown} is not played: there is nothing in it"
    return f"cannot read {shown}: {reason}"
