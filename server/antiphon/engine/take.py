"""One sound file while it is being recorded: whatever dies, what there is of it opens.

A wave file is written as RF64 that says RIFF as long as 4 GiB hold it (3.1 h of a set, 4.1 h of a recording, in stereo
at 48 kHz), and grows into RF64 by itself: one file, however long the night is. Its header is brought up to date, and
its sound put on the disk, every second.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from antiphon.errors import FileError
from antiphon.runtime import paths
from antiphon.runtime.sound_formats import FORMATS, RECORDING_SUFFIXES

ROOM = 1 << 16
"""Bytes there must be room for when a recording starts."""
SYNC_SECONDS = 1.0
"""What a power cut costs at most."""
RIFF_BYTES = (1 << 32) - 1
"""What a wave file's 32-bit lengths can say."""
_UPDATE_HEADER_NOW = 0x1060
_RF64_AUTO_DOWNGRADE = 0x1210


class TakeFile:
    """A sound file being written. frames: so far."""

    def __init__(self, path: Path, rate: int, channels: int, subtype: str | None = None) -> None:
        """subtype: libsndfile's word, for another than the suffix' own. Raises `FileError`."""
        import soundfile

        suffix = path.suffix.lower()
        if suffix not in RECORDING_SUFFIXES:
            raise FileError(f"cannot write {path}: a recording's name ends in {', '.join(sorted(RECORDING_SUFFIXES))}")
        if suffix == ".mp3" and rate > 48000:
            raise FileError(f"cannot write {path}: mp3 does not hold {rate} Hz; name a .wav, .flac or .ogg")
        paths.made(path.parent, paths.PRIVATE_FOLDER)
        paths.reserve(path, ROOM, paths.PRIVATE)
        self.path, self.rate, self.frames = path, rate, 0
        self._sf, self._wave = soundfile, suffix == ".wav"
        self._file = soundfile.SoundFile(
            str(path), "w", rate, channels, subtype or FORMATS[suffix].subtypes[0],
            format="RF64" if self._wave else None,
        )  # fmt: skip
        if self._wave:
            self._command(_RF64_AUTO_DOWNGRADE, 1)
        self._synced = time.monotonic()
        self._long = False

    @property
    def seconds(self) -> float:
        return self.frames / self.rate

    @property
    def size(self) -> int:
        """Bytes on the disk; 0 where the file has gone."""
        with contextlib.suppress(OSError):
            return self.path.stat().st_size
        return 0

    def write(self, frames: Any) -> bool:
        """Adds float32 `[frames, channels]`. True the once that a wave file has grown beyond what RIFF can say."""
        self._file.write(frames)
        self.frames += len(frames)
        if time.monotonic() - self._synced <= SYNC_SECONDS:
            return False
        self.sync()
        grown = self._wave and not self._long and self.size > RIFF_BYTES
        self._long = self._long or grown
        return grown

    def sync(self) -> None:
        """What was written is on the disk, and the header says so."""
        self._synced = time.monotonic()
        if self._wave:
            self._command(_UPDATE_HEADER_NOW, 0)
        self._file.flush()

    def close(self) -> None:
        """Ends it; one that holds nothing is taken away."""
        self._file.flush()
        self._file.close()
        self._drop_empty()

    def cut(self) -> None:
        """Ends it where it could not be written on: what there is opens, what holds nothing is taken away."""
        with contextlib.suppress(OSError, RuntimeError):  # the reason is told already
            self._file.close()
        self._drop_empty()

    def _drop_empty(self) -> None:
        if not self.frames:
            self.path.unlink(missing_ok=True)

    def _command(self, number: int, argument: int) -> None:
        # soundfile has no call for it
        self._sf._snd.sf_command(self._file._file, number, self._sf._ffi.NULL, argument)


def written(what: Path, seconds: float, size: int) -> str:
    """ "wrote take.wav: 3 h 08 min 12 s, 3.2 GB"."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        length = f"{hours} h {minutes:02} min {whole % 60:02} s"
    else:
        length = f"{minutes} min {whole % 60:02} s" if minutes else f"{seconds:.1f} s"
    amount = f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
    return f"wrote {what}: {length}, {amount}"
