"""Recorder process, from shared memory to files; it outlives engine and control.

Where blocks are missing, the sound is faded out from its last frame (`missed_fade_out`).
"""

import contextlib
import errno
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from antiphon.kernel.contract.block import Samples, missed_fade_out
from antiphon.kernel.engine.journal import VERSION, to_line
from antiphon.kernel.engine.shared import OUTPUT, SESSION, TRACKS, ByteRing, HeaderWord, Shared
from antiphon.kernel.errors import FileError, RequestError
from antiphon.kernel.io.capture_memory import CaptureMemory
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.console import say, write_output
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.runtime.processes.child_process import unblock_signals
from antiphon.kernel.runtime.processes.children import TERM_SECONDS, Child, ChildLane, spawn
from antiphon.kernel.runtime.processes.pidfile import RECORDINGS
from antiphon.recording.note import forget
from antiphon.recording.take import OutputTake, RecordedTake, write_capture

MIN_FREE, MAX_LEFT = 0.1, 10e9
"""A recording ends below this share of free disk space, or on a large disk below this many bytes."""
_TURN, _MESSAGES = 0.05, 256
_MARGIN = 16
"""Oldest blocks of the tap that a recording which goes on does not take: the engine may overwrite them meanwhile."""


class Recorder:
    """The takes being written, and the position up to which the tap has been read."""

    def __init__(
        self,
        shared: Shared,
        folder: Path,
        limit: float = float("inf"),
        kept: CaptureMemory | None = None,
        takes: Mapping[str, str] = MappingProxyType({}),
        export: Sequence[str] = (),
    ) -> None:
        """Idle recorder; `folder` has the note for its successor, `limit` is bytes of a recording or set.

        `kept`, `takes`: those of `run`; `export`: command that completes a folder of tracks; its path is added twice.
        """
        self._limit, self._looked, self._kept, self._export = limit, 0, kept, export
        self._made, self._takes = takes, dict[str, RecordedTake]()  # by "record", "session", "tracks"
        self._since: dict[str, float] = {}  # when each began, in seconds of the epoch
        self._last_seconds = 0.0  # those that the recording keeps
        self._finishing: list[Child] = []
        self._sounds = False  # whether a take follows the tap
        self.shared, self._words, self._folder = shared, shared.words, folder
        shape = shared.shape
        size = (shape.tap, shape.channels, shape.block)
        self._out = np.frombuffer(shared.part("tap_out"), np.float32).reshape(size)
        self._in = np.frombuffer(shared.part("tap_in"), np.float32).reshape(size)
        self._fall = missed_fade_out(shape.block, shape.rate)[:, None]
        self._last, self._last_in = np.zeros((2, shape.channels), np.float32)  # frames of the output and the input
        self._journal = ByteRing(shared)
        self._cues: list[dict[str, Any]] = []
        self._next = -1
        self.lines: list[str] = []
        self.aloud = False
        # tracks and the recording go on after a recorder that was killed: journal and tap stop for no block
        left = self._words[HeaderWord.TAPPING]
        self._words[HeaderWord.TAPPING] = left & TRACKS | (OUTPUT if left & (OUTPUT | SESSION) else 0)
        self._resumed = -1  # the first block that a recording lacks which goes on

    def handle(self, message: dict[str, Any]) -> None:
        """Starts or stops ("path" None) a recording, session or tracks, as "do" names it; "header" is for the log.

        A message with "do" "cue" is written into the logs. "last" of a recording is that of `OutputTake`.

        With "resume" a recording goes on where a killed recorder's ended, from what the tap still has, and tracks with
        each line of the journal once.

        Errors are reported, not raised.
        """
        kind = message["do"]
        if kind == "cue":
            self._cues.append({name: message[name] for name in ("sample", "cue", "values")})
            return
        path = message["path"]
        self.turn()
        try:
            self._end(kind)
            if path:
                self._last_seconds = message.get("last", 0.0) if kind == "record" else self._last_seconds
                self._takes[kind] = self._open(kind, Path(path), message.get("header", {}))
                if kind == "tracks":
                    if message.get("resume"):
                        self._takes[kind].rewind(self._journal.follow_killed())
                    self._release_lines()
                elif message.get("resume"):
                    oldest = self._words[HeaderWord.TAP_WRITE] - self.shared.shape.tap + _MARGIN
                    self._resumed = max(self._words[HeaderWord.RECORDED], oldest, 0)
                self._since[kind] = time.time()
        except Exception as error:
            if path:
                paths.drop_empty(Path(path))  # it was made by who chose the name
            self._report_error(path or "the recording", error)
        self.request_recording_data()
        if kind == "record":  # one that is killed before it has written goes on from here
            self._words[HeaderWord.RECORDED] = max(0, self._next)
        self._note()

    def _open(self, kind: str, path: Path, header: dict[str, Any]) -> RecordedTake:
        shape = self.shared.shape
        if kind == "record":
            return OutputTake(path, shape.rate, shape.channels, self._last_seconds)
        if kind not in self._made:
            raise RequestError(f"this server records no {kind}; use /record/start")
        if kind == "tracks" and self._kept is None:
            raise RequestError("tracks take memory that this machine has not free; use /record/start")
        paths.make_folder(path, paths.PRIVATE_FOLDER)
        if not self._logs and not self._words[HeaderWord.TAPPING] & TRACKS:
            self._journal.skip_all()
        head = {"session": VERSION, "rate": shape.rate, "block": shape.block, "channels": shape.channels, **header}
        take: RecordedTake = import_object(self._made[kind])(path, self._kept, shape.channels, head)
        if take.first < 0:
            self._words[HeaderWord.SESSIONS] += 1
        if take.records_input:
            self._last_in.fill(0.0)
        return take

    @property
    def _logs(self) -> bool:
        """Whether a take has a log in addition to its sound."""
        return bool(self._takes.keys() - {"record"})

    def _note(self) -> None:
        """Writes the note of running recordings, for a recorder that replaces this one."""
        if not self._takes:
            forget(self._folder)
            return
        names = {kind: str(take.name.absolute()) for kind, take in self._takes.items()}
        begun = {"since": self._since.get("record", 0.0), "tracks_since": self._since.get("tracks", 0.0)}
        note = {"record": "", "session": "", "tracks": "", **names, **begun, "last": self._last_seconds}
        try:
            (self._folder / RECORDINGS).write_text(json.dumps(note))
        except OSError as error:
            say(f"cannot note what is recorded: {paths.os_error_text(error)}")

    def request_recording_data(self) -> None:
        """Requests from the engine the data to be recorded."""
        sounds = any(take.taps for take in self._takes.values())
        if sounds and not self._sounds:
            # -1 before the engine's first block: turn() then begins with FIRST_BLOCK
            self._next = (self._words[HeaderWord.TAP_WRITE] or -1) if self._resumed < 0 else self._resumed
            self._resumed = -1
            self._last.fill(0.0)
        self._sounds = sounds
        wanted = SESSION if "session" in self._takes else OUTPUT if "record" in self._takes else 0
        self._words[HeaderWord.TAPPING] = wanted | (TRACKS if "tracks" in self._takes else 0)

    def turn(self, *, last: bool = False) -> None:
        """Writes the blocks and the journal records since the last turn. `last`: the engine writes no more."""
        if not self._takes:
            return
        end = self._words[HeaderWord.TAP_WRITE]
        cues, self._cues = self._cues, []
        lines = [*cues, *map(to_line, self._journal.read())] if self._logs else []
        self._each(lambda take: take.read(lines))
        self._each(lambda take: take.turn(end if last else end - 1))  # a block is in the ring after it is counted
        if lines:
            self._release_lines()
        if self._sounds:
            if self._next < 0:
                if end == 0:
                    return
                self._next = self._words[HeaderWord.FIRST_BLOCK]
            while self._next < end:
                count = min(end - self._next, 64)
                self._write(self._next, count)
                self._next += count
        self._check_limits(end)

    def _release_lines(self) -> None:
        self._journal.release(self._takes["tracks"].log_size if "tracks" in self._takes else 0)

    def _each(self, step: Callable[[RecordedTake], object]) -> None:
        """Calls a step of each take; a take whose step fails is ended."""
        for kind, take in list(self._takes.items()):
            try:
                step(take)
            except Exception as error:
                self._end(kind, error)
                self.request_recording_data()
                self._note()

    def _check_limits(self, end: int) -> None:
        """Ends takes at their limit, or on a full disk, as complete files; checks once a second of sound."""
        second = end * self.shared.shape.block // self.shared.shape.rate
        if second == self._looked:
            return
        self._looked = second
        over = {kind: why for kind, take in self._takes.items() if (why := self._over(take))}
        for kind, why in over.items():
            self._tell(f"{self._takes[kind].ends}: {why}")
            self._end(kind)
        if over:
            self.request_recording_data()
            self._note()

    def _over(self, take: RecordedTake) -> str:
        """Reason why a take has to end; "" while it may continue."""
        if take.size >= self._limit:
            return f"it has the {self._limit / 1e9:g} GB of --record-limit; record to another file"
        with contextlib.suppress(OSError):  # the next write reports what is wrong with the disk
            disk = os.statvfs(take.name if take.name.is_dir() else take.name.parent)
            if disk.f_bavail * disk.f_frsize < min(disk.f_blocks * disk.f_frsize * MIN_FREE, MAX_LEFT):
                return "the disk is nearly full; free some space, or record to another disk"
        return ""

    def _tell(self, text: str) -> None:
        self.lines.append(text)
        if self.aloud:
            say(text)

    def _write(self, first: int, count: int) -> None:
        shape, tags = self.shared.shape, self.shared.tap_tags
        out = np.zeros((count, shape.block, shape.channels), np.float32)
        into = np.zeros_like(out) if any(take.records_input for take in self._takes.values()) else None
        for n in range(count):
            slot, tag = (first + n) % shape.tap, first + n + 1
            if there := tags[slot] == tag:
                out[n] = self._out[slot].T
                if into is not None:
                    into[n] = self._in[slot].T
            if tags[slot] != tag:
                self._fade_out_block(self._last, out[n])
                if into is not None:
                    self._fade_out_block(self._last_in, into[n])
                # overwritten, perhaps while it was read; others were never written
                self._words[HeaderWord.TAP_DROPPED] += there or tags[slot] > tag
            self._last[:] = out[n, -1]
            if into is not None:
                self._last_in[:] = into[n, -1]
        self._each(lambda take: take.blocks(first, out, into))
        if "record" in self._takes:
            self._words[HeaderWord.RECORDED] = first + count

    def _fade_out_block(self, last: Samples, block: Samples) -> None:
        """Fills a missing block, float32 `[frames, channels]`, with a fade-out from the frame before it."""
        block[:] = 0.0
        block[: len(self._fall)] = last * self._fall

    def _end(self, kind: str, error: Exception | None = None) -> None:
        """Ends a take, if there is one, and makes projects of tracks. `error`: the error that cuts it off."""
        take = self._takes.pop(kind, None)
        if take is None:
            return
        if error is not None:
            take.cut()
            self._report_error(take.ends, _cause(take.name, error))
        else:
            try:
                take.close()
            except Exception as fault:
                self._report_error(take.lacks, fault)
        write_output(str(take))
        if kind == "tracks" and self._export:
            command = [*self._export, str(take.name), str(take.name)]  # from and to
            try:
                child = spawn(command, lane=ChildLane(output=None, errors=None))
                self._finishing = [child, *(each for each in self._finishing if not each.ended)]
            except OSError as fault:
                why, here = paths.os_error_text(fault), take.name
                self._tell(f"{here} has no projects for studios yet: {why}; `antiphon export {here} {here}` makes them")

    def _report_error(self, what: str, error: Exception) -> None:
        reason = paths.os_error_text(error) if isinstance(error, OSError) else str(error) or type(error).__name__
        text = reason if isinstance(error, FileError) else f"{what}: {reason}"
        self._tell(text)

    def close(self) -> None:
        """Writes pending blocks and records, and closes all files."""
        self.turn(last=True)
        for kind in ("record", "session", "tracks"):
            self._end(kind)
        for child in self._finishing[:1]:
            child.wait(TERM_SECONDS / 2)  # it goes on by itself
        self._words[HeaderWord.TAPPING] = 0


def _cause(path: Path, error: Exception) -> Exception:
    """An error that names the reason; libsndfile reports only that writing failed, so the disk's space is checked."""
    if isinstance(error, OSError):
        return FileError(f"{path} ends here: {paths.os_error_text(error)}")
    try:
        free = os.statvfs(path if path.is_dir() else path.parent).f_bavail
    except OSError as gone:
        return FileError(f"{path} ends here: {paths.os_error_text(gone)}")
    if free == 0:
        return FileError(f"{path} ends here: {paths.os_error_text(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))}")
    text = " ".join(str(error).split()) or "it cannot be written on"
    return FileError(f"{path} ends here: {text}; record to another place")


def run(
    shared: Shared,
    peer: socket.socket,
    begin: list[dict[str, Any]],
    ready: int | None,
    folder: Path,
    limit: float,
    kept: CaptureMemory | None = None,
    takes: Mapping[str, str] = MappingProxyType({}),
    export: Sequence[str] = (),
) -> None:
    """Main function of the recorder process; returns after SIGTERM.

    `begin`: messages to handle first, to record from the first block on. `ready`: pipe to the supervisor; it gets the
    errors of `begin` as one line of JSON; None prints them. `kept`: capture memory; None without captures. `takes`:
    "module:Name" of the `RecordedTake` of a set and of tracks, by "session" and "tracks". `export`: as for `Recorder`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ending: list[int] = []
    woken, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    unblock_signals()
    recorder = Recorder(shared, folder, limit, kept, takes, export)
    recorder.aloud = ready is None
    for message in begin:
        recorder.handle(message)
    recorder.request_recording_data()
    recorder.aloud = True
    if ready is not None:
        os.write(ready, json.dumps(recorder.lines).encode() + b"\n")
        os.close(ready)
    peer.setblocking(False)
    poll = select.poll()
    poll.register(peer.fileno(), select.POLLIN)
    poll.register(woken, select.POLLIN)
    while not ending:
        busy = shared.words[HeaderWord.TAPPING] != 0
        if any(fd == peer.fileno() for fd, _ in poll.poll(_TURN * 1000 if busy else 1000)):
            try:
                for _ in range(_MESSAGES):
                    message = json.loads(peer.recv(1 << 20))
                    if message["do"] == "capture":
                        peer.send(json.dumps(write_capture(message, kept)).encode())
                    else:
                        recorder.handle(message)
            except (BlockingIOError, ConnectionError, ValueError) as error:
                if not isinstance(error, BlockingIOError):
                    say(f"recorder: {error}")
        recorder.turn()
    recorder.close()
