"""Recorder process, from shared memory to files; it outlives engine and control.

Where blocks are missing the sound falls from its last frame to silence (`missed_fall`).
"""

import contextlib
import errno
import importlib
import json
import os
import re
import select
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO, cast

import numpy as np

from antiphon.kernel.contract.block import Samples, missed_fall
from antiphon.kernel.engine.recording.journal import NOTE, VERSION, to_line
from antiphon.kernel.engine.recording.take import MIN_FREE_BYTES, SYNC_SECONDS, TakeFile, describe_take, write_capture
from antiphon.kernel.engine.shared import OUTPUT, SESSION, TRACKS, ByteRing, HeaderWord, Shared
from antiphon.kernel.errors import FileError, RequestError
from antiphon.kernel.io.capture_memory import CaptureMemory
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.console import say, write_output
from antiphon.kernel.runtime.processes.child_process import listening
from antiphon.kernel.runtime.processes.children import TERM_SECONDS, Child, ChildLane, spawn

MIN_FREE, MAX_LEFT = 0.1, 10e9
"""A recording ends below this share of free disk space, or on a large disk below this many bytes."""
_TURN, _MESSAGES = 0.05, 256
LIST = "tracks.json"
"""File with the list of the tracks in a folder."""


class Tracks(Protocol):
    """Tracks of a set that are being written. `first`: below 0 before their first block. As text: length and size.

    Any method may raise `OSError`, or `FileError` in the words of who records.
    """

    folder: Path
    first: int

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        ...

    def line(self, line: dict[str, Any]) -> None:
        """Takes a line of the journal or a cue."""

    def turn(self, end: int) -> None:
        """Writes the blocks before `end`."""

    def close(self) -> None:
        """Ends all files, complete to their last common frame."""


class Recorder:
    """The files being written, and the position up to which the tap has been read."""

    def __init__(
        self,
        shared: Shared,
        folder: Path,
        limit: float = float("inf"),
        kept: CaptureMemory | None = None,
        tracks: str = "",
        export: Sequence[str] = (),
    ) -> None:
        """Idle recorder; `folder` has the note for its successor, `limit` is bytes of a recording or set.

        `kept`, `tracks`: as of `run`; `export`: command that completes a folder of tracks; its path is added twice.
        """
        self._limit, self._looked, self._kept, self._export = limit, 0, kept, export
        self._module, self._tracks = tracks, cast(Tracks | None, None)
        self._finishing: list[Child] = []
        self._sounds = False  # whether a recording or a set follows the tap
        self.shared, self._words, self._folder = shared, shared.words, folder
        shape = shared.shape
        size = (shape.tap, shape.channels, shape.block)
        self._out = np.frombuffer(shared.part("tap_out"), np.float32).reshape(size)
        self._in = np.frombuffer(shared.part("tap_in"), np.float32).reshape(size)
        self._fall = missed_fall(shape.block, shape.rate)[:, None]
        self._last, self._last_in = np.zeros((2, shape.channels), np.float32)  # frames of the output and the input
        self._journal = ByteRing(shared)
        self._record: TakeFile | None = None
        self._session: tuple[TakeFile, TakeFile, TextIO] | None = None
        self._cues: list[dict[str, Any]] = []
        self._next = self._session_from = -1
        self._log_synced = 0.0
        self._since = self._tracks_since = 0.0  # when the output and the tracks began, in seconds of the epoch
        self.lines: list[str] = []
        self.aloud = False
        # tracks go on after a recorder that was killed: the journal stops for no block
        self._words[HeaderWord.TAPPING] &= TRACKS

    def handle(self, message: dict[str, Any]) -> None:
        """Starts or stops ("path" None) a recording, session or tracks, the value of "do"; "header" is for their log.

        A "cue" is written into the logs.

        Errors are reported, not raised.
        """
        if message["do"] == "cue":
            self._cues.append({name: message[name] for name in ("sample", "cue", "values")})
            return
        path = message["path"]
        self.turn()
        try:
            if message["do"] == "record":
                self._close_record()
                if path:
                    self._record = TakeFile(Path(path), self.shared.shape.rate, self.shared.shape.channels)
                    self._since = time.time()
            elif message["do"] == "tracks":
                self._close_tracks()
                if path:
                    self._open_tracks(Path(path), message.get("header", {}))
                    self._tracks_since = time.time()
            else:
                self._close_session()
                if path:
                    self._open_session(Path(path), message.get("header", {}))
        except Exception as error:
            if path:
                paths.drop_empty(Path(path))  # it was made by who chose the name
            self._complain(path or "the recording", error)
        self.arm()
        self._note()

    def _log_header(self, header: dict[str, Any]) -> dict[str, Any]:
        shape = self.shared.shape
        return {"session": VERSION, "rate": shape.rate, "block": shape.block, "channels": shape.channels, **header}

    def _open_tracks(self, folder: Path, header: dict[str, Any]) -> None:
        if self._kept is None or not self._module:
            raise RequestError("tracks take memory that this machine has not free; use /record/start")
        paths.make_folder(folder, paths.PRIVATE_FOLDER)
        if self._session is None and not self._words[HeaderWord.TAPPING]:
            self._journal.skip_all()
        writing = importlib.import_module(self._module)
        self._tracks = writing.TrackTake(folder, self._kept, self.shared.shape.channels, self._log_header(header))
        assert self._tracks is not None
        if self._tracks.first < 0:
            self._words[HeaderWord.SESSIONS] += 1

    def _open_session(self, folder: Path, header: dict[str, Any]) -> None:
        paths.make_folder(folder, paths.PRIVATE_FOLDER)
        rate, channels = self.shared.shape.rate, self.shared.shape.channels
        if self._tracks is None:
            self._journal.skip_all()
        takes: list[TakeFile] = []
        log = folder / "session.jsonl"
        try:
            takes.extend(TakeFile(folder / name, rate, channels, "FLOAT") for name in ("input.wav", "output.wav"))
            paths.reserve(log, MIN_FREE_BYTES, paths.PRIVATE)
            file = log.open("w", encoding="utf-8")
            file.write(json.dumps(self._log_header(header)) + "\n")
            file.flush()
        except Exception:
            for take in takes:
                take.cut()
            log.unlink(missing_ok=True)
            paths.drop_empty(folder)
            raise
        self._session = (*takes, file)  # type: ignore[assignment]
        self._last_in.fill(0.0)
        self._session_from = -1
        self._words[HeaderWord.SESSIONS] += 1

    def _note(self) -> None:
        """Writes the note of running recordings, for a recorder that replaces this one."""
        if not (self._record or self._session or self._tracks):
            forget(self._folder)
            return
        note = {
            "record": str(self._record.path.absolute()) if self._record else "",
            "session": str(self._session[0].path.parent.absolute()) if self._session else "",
            "tracks": str(self._tracks.folder.absolute()) if self._tracks else "",
            "since": self._since,
            "tracks_since": self._tracks_since,
        }
        try:
            (self._folder / NOTE).write_text(json.dumps(note))
        except OSError as error:
            say(f"cannot note what is recorded: {paths.os_error_text(error)}")

    def arm(self) -> None:
        """Asks the engine for what is recorded."""
        sounds = bool(self._record or self._session)
        if sounds and not self._sounds:
            # -1 before the engine's first block: turn() then begins with FIRST_BLOCK
            self._next = self._words[HeaderWord.TAP_WRITE] or -1
            self._last.fill(0.0)
        self._sounds = sounds
        wanted = SESSION if self._session else OUTPUT if self._record else 0
        self._words[HeaderWord.TAPPING] = wanted | (TRACKS if self._tracks else 0)

    def turn(self, *, last: bool = False) -> None:
        """Writes the blocks and the journal records since the last turn. `last`: the engine writes no more."""
        if self._record is None and self._session is None and self._tracks is None:
            return
        end = self._words[HeaderWord.TAP_WRITE]
        self._write_journal()
        if self._tracks is not None:
            try:
                self._tracks.turn(end if last else end - 1)  # a block is in the ring after it is counted
            except Exception as error:
                self._cut_tracks(error)
        if not self._sounds:
            self._look_at_limits(end)
            return
        if self._next < 0:
            if end == 0:
                return
            self._next = self._words[HeaderWord.FIRST_BLOCK]
        while self._next < end:
            count = min(end - self._next, 64)
            self._write(self._next, count)
            self._next += count
        self._look_at_limits(end)

    def _look_at_limits(self, end: int) -> None:
        """Closes recordings at their limit, or on a full disk, as complete files; checks once a second of sound."""
        second = end * self.shared.shape.block // self.shared.shape.rate
        if second == self._looked:
            return
        self._looked = second
        record, session, tracks = self._record, self._session, self._tracks
        if record is not None and (why := self._over(record.path, record.size)):
            self._tell(f"{record.path} ends here: {why}")
            self._close_record()
        if session is not None and (why := self._over(session[1].path, session[0].size + session[1].size)):
            self._tell(f"the set in {session[1].path.parent} ends here: {why}")
            self._close_session()
        if tracks is not None and (why := self._over(tracks.folder / "tracks", tracks.size)):
            self._tell(f"the tracks in {tracks.folder} end here: {why}")
            self._close_tracks()
        if (record, session, tracks) != (self._record, self._session, self._tracks):
            self.arm()
            self._note()

    def _over(self, path: Path, size: int) -> str:
        """Reason why a recording has to end; "" while it may continue."""
        if size >= self._limit:
            return f"it has the {self._limit / 1e9:g} GB of --record-limit; record to another file"
        with contextlib.suppress(OSError):  # the next write reports what is wrong with the disk
            disk = os.statvfs(path.parent)
            if disk.f_bavail * disk.f_frsize < min(disk.f_blocks * disk.f_frsize * MIN_FREE, MAX_LEFT):
                return "the disk is nearly full; free some space, or record to another disk"
        return ""

    def _tell(self, text: str) -> None:
        self.lines.append(text)
        if self.aloud:
            say(text)

    def _write_journal(self) -> None:
        if self._session is None and self._tracks is None:
            self._cues.clear()
            return
        cues, self._cues = self._cues, []
        lines = [*cues, *map(to_line, self._journal.drain())]
        if self._tracks is not None:
            try:
                for line in lines:
                    self._tracks.line(line)
            except (OSError, FileError) as error:
                self._cut_tracks(error)
        if self._session is None:
            return
        log = self._session[2]
        try:
            for line in lines:
                if "tracks" in line or "heard" in line or (line.get("engine") == "joined" and self._session_from >= 0):
                    continue  # of the tracks that are recorded beside this session
                if self._session_from < 0 and "engine" in line:
                    self._session_from = line["sample"] // self.shared.shape.block
                log.write(json.dumps(line) + "\n")
            log.flush()
            if time.monotonic() - self._log_synced > SYNC_SECONDS:
                # in the same interval as the sound, so that a power cut does not leave sound without its log
                self._log_synced = time.monotonic()
                os.fsync(log.fileno())
        except OSError as error:
            self._cut_session(error)

    def _write(self, first: int, count: int) -> None:
        shape, tags = self.shared.shape, self.shared.tap_tags
        out = np.zeros((count, shape.block, shape.channels), np.float32)
        into = np.zeros_like(out) if self._session else None
        for n in range(count):
            slot, tag = (first + n) % shape.tap, first + n + 1
            if there := tags[slot] == tag:
                out[n] = self._out[slot].T
                if into is not None:
                    into[n] = self._in[slot].T
            if tags[slot] != tag:
                self._fall_from(self._last, out[n])
                if into is not None:
                    self._fall_from(self._last_in, into[n])
                # overwritten, perhaps while it was read; others were never written
                self._words[HeaderWord.TAP_DROPPED] += there or tags[slot] > tag
            self._last[:] = out[n, -1]
            if into is not None:
                self._last_in[:] = into[n, -1]
        if self._record is not None:
            try:
                self._put(self._record, out.reshape(-1, shape.channels))
            except Exception as error:
                file, self._record = self._record, None
                if file is not None:
                    file.cut()
                    self._complain(f"{file.path} ends here", _cause(file.path, error))
                    _print_written(file)
                self.arm()
                self._note()
        if self._session is not None and into is not None:
            try:
                skipped = count if self._session_from < 0 else max(0, self._session_from - first)
                self._put(self._session[0], into[skipped:].reshape(-1, shape.channels))
                self._put(self._session[1], out[skipped:].reshape(-1, shape.channels))
            except Exception as error:
                self._cut_session(error)

    def _fall_from(self, last: Samples, block: Samples) -> None:
        """Fills a missing block, float32 `[frames, channels]`, from the frame before it."""
        block[:] = 0.0
        block[: len(self._fall)] = last * self._fall

    def _put(self, take: TakeFile, frames: Any) -> None:
        if take.write(frames):
            say(
                f"{take.path} is larger than 4 GiB and continues as RF64: Antiphon, ffmpeg, VLC, Audacity and Reaper "
                "read it, an old player may not"
            )

    def _cut_session(self, error: Exception) -> None:
        parts, self._session = self._session, None
        if parts is not None:
            parts[0].cut()
            parts[1].cut()
            with contextlib.suppress(OSError):  # its buffer still holds the line that did not fit
                parts[2].close()
            folder = parts[0].path.parent
            self._complain(f"the set in {folder} ends here", _cause(folder, error))
            _print_session(parts)
        self.arm()
        self._note()

    def _cut_tracks(self, error: Exception) -> None:
        if self._tracks is not None:
            folder = self._tracks.folder
            self._complain(f"the tracks in {folder} end here", _cause(folder, error))
            self._close_tracks(cut=True)
        self.arm()
        self._note()

    def _close_tracks(self, *, cut: bool = False) -> None:
        """Ends the tracks, and makes projects of them. `cut`: it was said that their end is lacking."""
        tracks, self._tracks = self._tracks, None
        if tracks is None:
            return
        try:
            tracks.close()
        except (OSError, FileError) as error:
            if not cut:
                self._complain(f"the tracks in {tracks.folder} may lack their end", error)
        write_output(str(tracks))
        if self._export:
            command = [*self._export, str(tracks.folder), str(tracks.folder)]  # from and to
            try:
                child = spawn(command, lane=ChildLane(output=None, errors=None))
                self._finishing = [child, *(each for each in self._finishing if not each.ended)]
            except OSError as error:
                why, here = paths.os_error_text(error), tracks.folder
                self._tell(f"{here} has no projects for studios yet: {why}; `antiphon export {here} {here}` makes them")

    def _complain(self, what: str, error: Exception) -> None:
        reason = paths.os_error_text(error) if isinstance(error, OSError) else str(error) or type(error).__name__
        text = reason if isinstance(error, FileError) else f"{what}: {reason}"
        self._tell(text)

    def _close_record(self) -> None:
        file, self._record = self._record, None
        if file is not None:
            try:
                file.close()
            except Exception as error:
                self._complain(f"{file.path} may lack its end", _cause(file.path, error))
            _print_written(file)

    def _close_session(self) -> None:
        parts, self._session = self._session, None
        for part in parts or ():
            try:
                part.close()
            except Exception as error:
                self._complain("the recorded set may lack its end", error)
        if parts:
            _print_session(parts)

    def close(self) -> None:
        """Writes pending blocks and records, and closes all files."""
        self.turn(last=True)
        self._close_record()
        self._close_session()
        self._close_tracks()
        for child in self._finishing[:1]:
            child.wait(TERM_SECONDS / 2)  # it goes on by itself
        self._words[HeaderWord.TAPPING] = 0


def _print_written(take: TakeFile) -> None:
    if take.frames:
        write_output(describe_take(take.path, take.seconds, take.size))
    else:
        write_output(f"nothing was recorded; there is no {take.path}")


def _print_session(parts: tuple[TakeFile, TakeFile, TextIO]) -> None:
    folder = parts[1].path.parent
    if parts[1].frames:
        write_output(describe_take(folder, parts[1].seconds, parts[0].size + parts[1].size))
    else:
        write_output(f"nothing was recorded in {folder}: the set had not begun")


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


def forget(folder: Path) -> None:
    """Removes the file that names the running recordings, at a clean end."""
    (folder / NOTE).unlink(missing_ok=True)


def first_of_series(path: Path) -> Path:
    """First file name of a continued recording: take.wav for take-2.wav."""
    # not the seconds of a name that is a time: 2026-11-20_10-00-05.wav
    return path.with_name(re.sub(r"(?<!_\d\d-\d\d)-\d+$", "", path.stem) + path.suffix)


def run(
    shared: Shared,
    peer: socket.socket,
    begin: list[dict[str, Any]],
    ready: int | None,
    folder: Path,
    limit: float,
    kept: CaptureMemory | None = None,
    tracks: str = "",
    export: Sequence[str] = (),
) -> None:
    """Main function of the recorder process; returns after SIGTERM.

    `begin`: messages to handle first, to record from the first block on. `ready`: pipe to the supervisor; it gets the
    errors of `begin` as one line of JSON; None prints them. `kept`: capture memory; None without captures. `tracks`:
    module whose class `TrackTake` writes tracks, "" for none. `export`: as of `Recorder`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ending: list[int] = []
    woken, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    listening()
    recorder = Recorder(shared, folder, limit, kept, tracks, export)
    recorder.aloud = ready is None
    for message in begin:
        recorder.handle(message)
    recorder.arm()
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
