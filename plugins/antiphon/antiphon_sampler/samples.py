"""Sample data: a whole sample in memory, or start pages of a long one; its decoding."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from antiphon.api import FileError, Samples
from antiphon.api.backends.files import KeptDecoder
from antiphon_sampler.library import sample_name

HOURS = 6
"""Maximum length of a file in hours."""


@dataclass(frozen=True, slots=True)
class DecodedFile:
    """Result of decoding a file."""

    sound: Samples  # float32 `[1 or 2, frames]`; of a file that is longer than asked for no frames
    frames: int  # frames of the whole file, at the stream's rate


def decode(decoder: KeptDecoder, path: Path, seconds: float) -> DecodedFile:
    """Decodes at most two channels of a file, or only measures its length if over `seconds`.

    Raises FileError: it cannot be played; the sentence names it by its folder's name and its own.
    """
    shown, rate = sample_name(path), decoder.rate
    with decoder.stream(path, shown) as stream:
        info, most = stream.info, round(seconds * rate)
        channels, own_most = min(2, info.channels), most * info.rate // rate + 1
        if info.frames is not None and info.frames > own_most:
            if info.frames > HOURS * 3600 * info.rate:
                raise FileError(f"{shown} is not played: it is longer than {HOURS} hours; cut it into parts")
            return DecodedFile(np.zeros((channels, 0), np.float32), info.frames * rate // info.rate)
        blocks = [np.zeros((channels, 0), np.float32)]
        frames = 0
        for block in stream.blocks():
            blocks.append(block[:2])
            frames += block.shape[1]
            if info.frames is None and frames > most + 2:
                raise FileError(
                    f"cannot read {shown}: it does not say how long it is; a long one has to, write it again"
                )
    if not frames:
        raise FileError(f"{shown} is not played: there is nothing in it")
    return DecodedFile(np.concatenate(blocks, axis=1), frames)


PAD = 16
"""Padding frames before and after a sample or page: the reach of the interpolation."""
PAGE = 1 << 14
"""Frames of a page of a long sample, 0.34 s at 48 kHz: 128 KB in stereo, read in about a millisecond."""
PAGE_SIDES = 2
"""Channels of a page; a page of one channel fills the first."""
HEAD = 4
"""Start pages in memory, 1.4 s at 48 kHz: the time to read the following pages."""


@dataclass(frozen=True, slots=True)
class DecodedSample:
    """A sample in memory."""

    sound: Samples  # float32 `[1 or 2, PAD + frames + PAD]`
    address: int  # address of the first frame of the first channel, after the silence
    stride: int  # frames from one channel's to the next's
    channels: int  # 1 or 2
    frames: int
    onsets: tuple[int, ...]  # frames at which something is struck, the first 0
    root: float = -1.0  # note at which it was recorded, by its file; -1 where that is not known
    loop: int = -1  # frame from which it repeats, from its end; -1 for none
    held: DecodedSample | None = None  # what a note that lasts plays of a file with a loop


@dataclass(frozen=True, slots=True)
class SamplePage:
    """A page kept in memory."""

    sound: Samples  # float32 `[PAGE_SIDES, PAD + PAGE + PAD]`
    address: int  # address of its first frame, after the frames before it


@dataclass(slots=True, eq=False)
class LongSample:
    """A sample read page by page during playback."""

    path: Path
    channels: int  # 1 or 2
    frames: int
    pages: dict[int, SamplePage] = field(default_factory=dict)
    broken: bool = False  # whether a page could not be read; none is asked for after that
    onsets: tuple[int, ...] = (0,)
    root: float = -1.0  # as of `DecodedSample`

    def begins(self, way: PageWay) -> bool:
        """True if the start pages of a range are in memory."""
        return all(page in self.pages for page in way.head())


@dataclass(frozen=True, slots=True)
class PageWay:
    """Range of pages that a note plays through."""

    first: int
    last: int
    step: int  # 1, or -1 where it plays backwards

    def head(self) -> range:
        """First `HEAD` pages of the range, or fewer."""
        count = min(HEAD, abs(self.last - self.first) + 1)
        return range(self.first, self.first + count * self.step, self.step)


Sample = DecodedSample | LongSample


def way_of(first: int, last: int, speed: float) -> PageWay:
    """Pages from frame `first` to before `last`; `speed` is below 0 for reverse playback."""
    low, high = first // PAGE, (last - 1) // PAGE
    return PageWay(low, high, 1) if speed >= 0.0 else PageWay(high, low, -1)


def new_page() -> SamplePage:
    sound = np.zeros((PAGE_SIDES, PAD + PAGE + PAD), np.float32)
    return SamplePage(sound, int(sound.ctypes.data) + PAD * sound.itemsize)
