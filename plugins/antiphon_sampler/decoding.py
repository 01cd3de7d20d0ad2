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
from pathlib import Path

import numpy as np

from antiphon.api import FileError, Samples
from antiphon.api.files import printable_path
from antiphon_sampler.decoding_child import EMPTY, LONG

STALL = 10.0
"""Seconds without a byte before a file is given up: a disk that hangs."""


class SampleDecoder:
    """A process that decodes one file after the other; where one has ended it, it is started again."""

    def __init__(self, rate: int, seconds: float) -> None:
        """Starts nothing yet.

        Args:
            rate: To which files are resampled, in Hz.
            seconds: The longest sound.
        """
        self._rate, self._seconds = rate, seconds
        self._frames = round(seconds * rate)
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, path: Path) -> Samples:
        """Decodes a file.

        Args:
            path: The file.

        Returns:
            float32 `[1 or 2, frames]`.

        Raises:
            FileError: It cannot be played; the sentence names it by its folder's name and its own.
        """
        shown = printable_path(f"{path.parent.name}/{path.name}")
        try:
            channels, size = self._ask(path)
            if channels == 0:
                raise FileError(_refusal(shown, self._exactly(size).decode(errors="replace"), self._seconds))
            if channels > 2 or size > self._frames + 2:
                raise EOFError
            data = self._exactly(4 * channels * size)
        except (EOFError, OSError, struct.error):
            self.close()
            raise FileError(
                f"{shown} is not played: decoding it took too long or ended its decoder; it is broken, make it again"
            ) from None
        return np.frombuffer(data, np.float32).reshape(channels, size)

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

    def _ask(self, path: Path) -> tuple[int, int]:
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        # JSON in ASCII: a name that is no UTF-8 arrives as it is
        self._process.stdin.write(json.dumps(os.fspath(path)).encode() + b"\n")
        channels, size = struct.unpack("<II", self._exactly(8))
        return int(channels), int(size)

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


def _refusal(shown: str, reason: str, seconds: float) -> str:
    if reason == LONG:
        return f"{shown} is not played: it is longer than {seconds:g} s, the most of a sample; cut it into parts"
    if reason == EMPTY:
        return f"{shown} is not played: there is nothing in it"
    return f"cannot read {shown}: {reason}"
