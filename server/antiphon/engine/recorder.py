"""The recorder process: takes sound and journal out of shared memory and writes files.

It outlives engine and control. Blocks that never came are written as silence, so that a recording's
length is the time that passed. A wave file's header is brought up to date every second: whatever
dies, the file opens.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from antiphon.engine.journal import SESSION, to_line
from antiphon.engine.shared import ByteRing, Shared, Word

OUTPUT = 1
_TURN = 0.05
_UPDATE_HEADER_NOW = 0x1060
_SUBTYPES = {".wav": "PCM_24", ".flac": "PCM_24", ".ogg": "VORBIS", ".mp3": "MPEG_LAYER_III"}


class _File:
    """One sound file being written."""

    def __init__(self, path: Path, rate: int, channels: int, subtype: str | None = None) -> None:
        import soundfile

        suffix = path.suffix.lower()
        if suffix not in _SUBTYPES:
            raise ValueError(f"{path.name}: recordings are {', '.join(sorted(_SUBTYPES))}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._sf = path, soundfile
        self._file = soundfile.SoundFile(str(path), "w", rate, channels, subtype or _SUBTYPES[suffix])
        self._updated = time.monotonic()

    def write(self, frames: Any) -> None:
        """float32 `[frames, channels]`."""
        self._file.write(frames)
        if time.monotonic() - self._updated > 1.0:
            self._updated = time.monotonic()
            if self.path.suffix.lower() == ".wav":
                self._sf._snd.sf_command(self._file._file, _UPDATE_HEADER_NOW, self._sf._ffi.NULL, 0)
            self._file.flush()

    def close(self) -> None:
        self._file.close()


class Recorder:
    """Files being written, and how far the tap was read."""

    def __init__(self, shared: Shared) -> None:
        self.shared, self._words = shared, shared.words
        shape = shared.shape
        size = (shape.tap, shape.channels, shape.block)
        self._out = np.frombuffer(shared.part("tap_out"), np.float32).reshape(size)
        self._in = np.frombuffer(shared.part("tap_in"), np.float32).reshape(size)
        self._journal = ByteRing(shared)
        self._record: _File | None = None
        self._session: tuple[_File, _File, TextIO] | None = None
        self._next = -1
        self.said: list[dict[str, Any]] = []

    def handle(self, message: dict[str, Any]) -> None:
        """{"do": "record" | "session", "path": str | None, "header": …}."""
        path = message["path"]
        try:
            self.turn()
            if message["do"] == "record":
                self._close_record()
                if path:
                    self._record = _File(Path(path), self.shared.shape.rate, self.shared.shape.channels)
            else:
                self._close_session()
                if path:
                    self._open_session(Path(path), message.get("header", {}))
            self._arm()
        except Exception as error:
            self._complain(path, error)

    def _open_session(self, folder: Path, header: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        rate, channels = self.shared.shape.rate, self.shared.shape.channels
        self._journal.skip_all()
        log = open(folder / "session.jsonl", "w", encoding="utf-8")  # noqa: SIM115 - held while the set lasts
        first = max(0, self._words[Word.TAP_WRITE]) * self.shared.shape.block
        shape = {"rate": rate, "block": self.shared.shape.block, "channels": channels, "sample": first}
        log.write(json.dumps({"session": 1, **shape, **header}) + "\n")
        log.flush()
        self._session = (
            _File(folder / "input.wav", rate, channels, "FLOAT"),
            _File(folder / "output.wav", rate, channels, "FLOAT"),
            log,
        )

    def _arm(self) -> None:
        wanted = SESSION if self._session else OUTPUT if self._record else 0
        if wanted and self._words[Word.TAPPING] == 0:
            # before the engine's first block there is nothing to be too late for
            self._next = self._words[Word.TAP_WRITE] or -1
        self._words[Word.TAPPING] = wanted

    def turn(self) -> None:
        """Writes what has come since the last turn."""
        if self._record is None and self._session is None:
            return
        end = self._words[Word.TAP_WRITE]
        if self._session is not None:
            for record in self._journal.drain():
                self._session[2].write(json.dumps(to_line(record)) + "\n")
            self._session[2].flush()
        if self._next < 0:
            if end == 0:
                return
            self._next = self._words[Word.FIRST_BLOCK]
        while self._next < end:
            count = min(end - self._next, 64)
            self._write(self._next, count)
            self._next += count

    def _write(self, first: int, count: int) -> None:
        shape, tags = self.shared.shape, self.shared.tap_tags
        out = np.zeros((count, shape.block, shape.channels), np.float32)
        into = np.zeros_like(out) if self._session else None
        for n in range(count):
            slot = (first + n) % shape.tap
            if tags[slot] == first + n + 1:
                out[n] = self._out[slot].T
                if into is not None:
                    into[n] = self._in[slot].T
                if tags[slot] != first + n + 1:  # overwritten while it was read
                    out[n] = 0.0
                    self._words[Word.TAP_DROPPED] += 1
            elif tags[slot] > first + n + 1:
                self._words[Word.TAP_DROPPED] += 1
        try:
            if self._record is not None:
                self._record.write(out.reshape(-1, shape.channels))
            if self._session is not None and into is not None:
                self._session[0].write(into.reshape(-1, shape.channels))
                self._session[1].write(out.reshape(-1, shape.channels))
        except Exception as error:
            path = self._record.path if self._record else "the session"
            self._abandon()
            self._complain(str(path), error)

    def _abandon(self) -> None:
        self._record = None
        self._session = None
        self._words[Word.TAPPING] = 0

    def _complain(self, path: str | None, error: Exception) -> None:
        text = f"{path} is not being recorded: {error}; free some space or choose another place"
        print(f"antiphon: {text}", file=sys.stderr, flush=True)
        self.said.append({"said": "recording", "path": path, "error": text})

    def _close_record(self) -> None:
        if self._record is not None:
            self._record.close()
            self._record = None

    def _close_session(self) -> None:
        if self._session is not None:
            for part in self._session:
                part.close()
            self._session = None

    def close(self) -> None:
        self.turn()
        self._close_record()
        self._close_session()
        self._words[Word.TAPPING] = 0


def run(shared: Shared, peer: socket.socket, begin: list[dict[str, Any]], ready: int) -> None:
    """The recorder process. begin: what to record from the first block on. ready: a pipe to say so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ending: list[int] = []
    woken, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    recorder = Recorder(shared)
    for message in begin:
        recorder.handle(message)
    os.write(ready, json.dumps(recorder.said).encode() + b"\n")
    os.close(ready)
    peer.setblocking(False)
    poll = select.poll()
    poll.register(peer.fileno(), select.POLLIN)
    poll.register(woken, select.POLLIN)
    while not ending:
        busy = shared.words[Word.TAPPING] != 0
        if any(fd == peer.fileno() for fd, _ in poll.poll(_TURN * 1000 if busy else 1000)):
            try:
                recorder.handle(json.loads(peer.recv(1 << 20)))
            except (BlockingIOError, ConnectionError, ValueError) as error:
                print(f"antiphon: recorder: {error}", file=sys.stderr, flush=True)
        recorder.turn()
    recorder.close()
