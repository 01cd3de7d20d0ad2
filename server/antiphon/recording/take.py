"""Sound file of a recording, readable after a crash: RIFF with RF64's layout up to 4 GiB, flushed each second."""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import AntiphonError, FileError, RequestError
from antiphon.kernel.io.capture_memory import CaptureMemory
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.sound_formats import FORMATS, RECORDING_SUFFIXES, channel_order

MIN_FREE_BYTES = 1 << 16
"""Bytes that must be free on the disk when a recording starts."""
SYNC_SECONDS = 1.0
"""Seconds between writes to the disk: the maximum loss at a power cut."""
RIFF_BYTES = (1 << 32) - 1
"""Largest size that the 32-bit lengths of a RIFF file can hold."""
_UPDATE_HEADER_NOW = 0x1060
_RF64_AUTO_DOWNGRADE = 0x1210


class RecordedTake:
    """A recording in progress. Its text form: length and size, once it has ended. Any method may raise, but not `cut`.

    Attributes:
        name: Its file or folder.
        ends, lacks: Beginnings of the messages on a take that ends early, and on one whose end may be missing.
        first: Number of its first block; below 0 before it.
        taps, records_input: Whether it records blocks of output, and of the input too.
    """

    first = 0
    taps = records_input = False

    def __init__(self, name: Path, ends: str, lacks: str) -> None:
        self.name, self.ends, self.lacks = name, ends, lacks

    @property
    def size(self) -> int:
        """Bytes used on disk."""
        raise NotImplementedError

    def read(self, lines: Sequence[dict[str, Any]]) -> None:
        """Receives lines of the journal, and cues."""

    @property
    def log_size(self) -> int:
        """Bytes of its log that a killed process leaves."""
        return 0

    def rewind(self, logged: int) -> None:
        """Drops what its log has beyond `logged` bytes; those lines come again."""

    def turn(self, end: int) -> None:
        """Writes the lines received, and its data on blocks before `end` that do not come from the tap."""

    def blocks(self, first: int, out: Samples, into: Samples | None) -> None:
        """Receives blocks of output and input, float32 `[blocks, frames, channels]`, from number `first` on."""

    def close(self) -> None:
        """Ends all files, complete."""
        raise NotImplementedError

    def cut(self) -> None:
        """Ends all files after an error."""
        with contextlib.suppress(Exception):  # the first error is reported
            self.close()


class TakeFile:
    """A sound file being written. `rate`: Hz."""

    def __init__(self, path: Path, rate: int, channels: int, subtype: str | None = None) -> None:
        """Creates a file by suffix, in libsndfile's `subtype` or the default; FileError for format, rate or space."""
        import soundfile

        suffix = path.suffix.lower()
        if suffix not in RECORDING_SUFFIXES:
            raise FileError(f"cannot write {path}: a recording's name ends in {', '.join(sorted(RECORDING_SUFFIXES))}")
        if suffix == ".mp3" and rate > 48000:
            raise FileError(f"cannot write {path}: mp3 does not hold {rate} Hz; name a .wav, .flac or .ogg")
        paths.make_folder(path.parent, paths.PRIVATE_FOLDER)
        paths.reserve(path, MIN_FREE_BYTES, paths.PRIVATE)
        self.path, self.rate, self.frames = path, rate, 0
        self._sf, self._wave = soundfile, suffix == ".wav"
        self._file = soundfile.SoundFile(
            str(path),
            "w",
            rate,
            channels,
            subtype or FORMATS[suffix].subtypes[0],
            format="RF64" if self._wave else None,
        )
        self._order = channel_order(FORMATS[suffix].name, channels)
        if self._wave:
            self._command(_RF64_AUTO_DOWNGRADE, 1)
        self._synced = time.monotonic()
        self._long = False

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self.frames / self.rate

    @property
    def size(self) -> int:
        """Bytes on the disk; 0 when the file was removed."""
        with contextlib.suppress(OSError):
            return self.path.stat().st_size
        return 0

    def write(self, frames: Any) -> bool:
        """Appends float32 `[frames, channels]`. Returns True once, when a wave file has exceeded `RIFF_BYTES`."""
        self._file.write(frames[:, self._order] if self._order else frames)
        self.frames += len(frames)
        if self._wave:  # so that a recorder that is killed leaves all that it wrote
            self._command(_UPDATE_HEADER_NOW, 0)
        if time.monotonic() - self._synced <= SYNC_SECONDS:
            return False
        self.sync()
        grown = self._wave and not self._long and self.size > RIFF_BYTES
        self._long = self._long or grown
        return grown

    def sync(self) -> None:
        """Updates the header and flushes the file."""
        self._synced = time.monotonic()
        if self._wave:
            self._command(_UPDATE_HEADER_NOW, 0)
        self._file.flush()

    def close(self) -> None:
        """Closes the file; an empty one is removed."""
        self._file.flush()
        self._file.close()
        self._drop_empty()

    def cut(self) -> None:
        """Closes the file after a failed write; an empty one is removed."""
        with contextlib.suppress(OSError, RuntimeError):  # the first error was reported already
            self._file.close()
        self._drop_empty()

    def _drop_empty(self) -> None:
        if not self.frames:
            self.path.unlink(missing_ok=True)

    def _command(self, number: int, argument: int) -> None:
        # soundfile has no public call for sf_command
        self._sf._snd.sf_command(self._file._file, number, self._sf._ffi.NULL, argument)


def put(take: TakeFile, frames: Any) -> None:
    """Writes frames, and reports once that a wave file has exceeded `RIFF_BYTES`."""
    if take.write(frames):
        say(
            f"{take.path} is larger than 4 GiB and continues as RF64: Antiphon, ffmpeg, VLC, Audacity and Reaper "
            "read it, an old player may not"
        )


class OutputTake(RecordedTake):
    """The output in one sound file.

    `last`: seconds that are kept, in two files: one that is as long is renamed, and replaces the one before it. 0: all.
    """

    taps = True

    def __init__(self, path: Path, rate: int, channels: int, last: float = 0.0) -> None:
        super().__init__(path, f"{path} ends here", f"{path} may lack its end")
        self.file = TakeFile(path, rate, channels)
        self._channels, self._last, self._renamed = channels, last, False
        self._before = path.with_stem(f"{path.stem}-before")

    @property
    def size(self) -> int:
        return self.file.size

    def blocks(self, first: int, out: Samples, into: Samples | None) -> None:
        put(self.file, out.reshape(-1, out.shape[-1]))
        if 0.0 < self._last <= self.file.seconds:
            self.file.close()
            self.name.replace(self._before)
            self._renamed = True
            self.file = TakeFile(self.name, self.file.rate, self._channels)

    def close(self) -> None:
        self.file.close()

    def cut(self) -> None:
        self.file.cut()

    def __str__(self) -> str:
        if not (self.file.frames or self._renamed):
            return f"nothing was recorded; there is no {self.name}"
        said = describe_take(self.name, self.file.seconds, self.file.size)
        return f"{said}; {self._before} has the {self._last / 60:g} minutes before it" if self._renamed else said


def describe_take(what: Path, seconds: float, size: int) -> str:
    """A sentence with a file's length and size, such as "wrote take.wav: 3 h 08 min 12 s, 3.2 GB"."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        length = f"{hours} h {minutes:02} min {whole % 60:02} s"
    else:
        length = f"{minutes} min {whole % 60:02} s" if minutes else f"{seconds:.1f} s"
    amount = f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
    return f"wrote {what}: {length}, {amount}"


def write_capture(message: dict[str, Any], kept: CaptureMemory | None) -> dict[str, Any]:
    """Writes the requested bars to a new file. Returns the answer, with the reason as its error, or ""."""
    path, why = Path(message["path"]), ""
    try:
        if kept is None:
            raise RequestError("nothing is kept, since this machine has little memory free; use /record/start")
        sound = kept.cut(message["node"], message["bars"], message["bar"])
        take = TakeFile(path, kept.shape.rate, sound.shape[1], "FLOAT")
        try:
            take.write(sound)
        finally:
            take.close()
    except AntiphonError as error:
        why = str(error)
    except Exception as error:
        why = f"{path}: {paths.os_error_text(error) if isinstance(error, OSError) else error}"
    if why:
        paths.drop_empty(path)
    return {"capture": message["number"], "path": str(path), "error": why}
