"""A sound file as libsndfile decodes it: each of the sounds that it holds, to its end."""

import bisect
import os
import sys

import numpy as np
import soundfile
from numpy.typing import NDArray

from antiphon.files.containers.chunks import check_form
from antiphon.files.containers.pieces import Link, Refused, SoundLayout, SplicedFile
from antiphon.kernel.runtime.sound_formats import channel_order

BLOCK_SAMPLES = 32768
"""Samples (frames times channels) that are decoded at once, at most."""
SLACK_FRAMES = 4096
"""Frames by which a lossy file may miss its length, beside a hundredth of it."""
UNKNOWN_FRAMES = 1 << 60
LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_III", "MPEG_LAYER_II", "MPEG_LAYER_I")
Frames = NDArray[np.float32]


class ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that libsndfile decodes in order."""

    def seekable(self) -> bool:
        """Never: soundfile would seek after every block, by which an MP3 decoder loses its state and broken files
        fail."""
        return False

    @property
    def promised(self) -> int | None:
        """Frames as its header promises; None where it does not say."""
        return self.frames if 0 <= self.frames < UNKNOWN_FRAMES else None


class LinkedFile:
    """A file that libsndfile decodes in order, each of its links to its end.

    `frames`: of all links, as their headers promise or as counted; None where one does not say. `order`: of each
    channel that is read its place in the file; empty where they are the same. `remark`: a sentence
    for the user, or "".
    """

    def __init__(self, fd: int, found: SoundLayout) -> None:
        self._fd, self._links, self.remark = fd, found.links, found.remark
        self._starts, self._promised = list[int](), list[int | None]()
        at: int | None = 0
        for n, link in enumerate(self._links):
            file = self._open(link)
            form = int(file.samplerate), int(file.channels)
            if n == 0:
                self.rate, self.channels, self.format, self.subtype = *form, str(file.format), str(file.subtype)
                self.tags: dict[str, str] = file.copy_metadata()
            elif form != (self.rate, self.channels):
                raise Refused(
                    f"its rate or channels change{'' if at is None else f' at {at / self.rate:.3f} s'}, from "
                    f"{self.rate} Hz of {self.channels} to {form[0]} of {form[1]}: cut it there, or convert it to .wav "
                    "with another program"
                )
            promised = file.promised if link.frames is None else link.frames
            self._starts.append(at or 0)
            self._promised.append(promised)
            at = None if at is None or promised is None else at + promised
        self.frames, self.lossy = at, self.subtype in LOSSY
        self.order = np.argsort(channel_order(self.format, self.channels))
        self._file, self._link, self._at = file, len(self._links) - 1, 0
        if len(self._links) > 1:
            self._begin(0)
        self._buffer: Frames = np.zeros((max(1, BLOCK_SAMPLES // self.channels), self.channels), np.float32)

    def _open(self, link: Link) -> ForwardFile:
        os.lseek(self._fd, 0, os.SEEK_SET)
        file = ForwardFile(self._fd, "r", closefd=False) if link.guessed or not link.pieces else None
        if file is None or file.frames != (link.frames or file.frames):
            file = ForwardFile(SplicedFile(self._fd, link.pieces), "r")
        check_form(file.channels, file.samplerate)
        if link.frames is not None and file.frames < link.frames:
            raise Refused("its bit rate changes, which is read in mp3 alone: convert it to .wav with another program")
        return file

    def _begin(self, link: int) -> None:
        self._file.close()
        self._file, self._link, self._at = self._open(self._links[link]), link, 0

    def close(self) -> None:
        self._file.close()

    def seek(self, frame: int) -> None:
        """Reads on from a frame. The length is known."""
        link = bisect.bisect_right(self._starts, frame) - 1
        if link != self._link:
            self._begin(link)
        self._at = frame - self._starts[link]
        self._file.seek(self._at)

    def read(self, most: int) -> Frames:
        """Next frames, float32 `[frames, channels]`, at most a block's; valid until the next, none at the end."""
        while True:
            promised = self._promised[self._link]
            # libFLAC fails at what is behind the last frame
            count = min(most, len(self._buffer), sys.maxsize if promised is None else promised - self._at)
            n = len(self._file.read(out=self._buffer[:count], fill_value=None)) if count > 0 else 0
            self._at += n
            if n:
                return self._buffer[:n].take(self.order, axis=1) if len(self.order) else self._buffer[:n]
            check_whole(promised, promised, self._at, self.lossy)
            if self._link + 1 == len(self._links):
                return self._buffer[:0]
            self._begin(self._link + 1)


def check_whole(wanted: int | None, promised: int | None, got: int, lossy: bool) -> None:
    """Raises `Refused` where fewer frames came than are wanted; a lossy file may miss a few."""
    slack = SLACK_FRAMES + (promised or 0) // 100 if lossy else 0
    if wanted is not None and got + slack < wanted:
        raise Refused(f"it promises {promised} frames and ends or breaks after {got}: fetch or make it again")
