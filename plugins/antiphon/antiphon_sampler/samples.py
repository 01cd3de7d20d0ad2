"""Sample data: whole samples in memory, or start pages of long ones; decoding; page streams of long samples.

A stream belongs to one voice for its lifetime: state that reader and block path share. It holds `SLOTS` pages ahead of
the voice, page p in slot p % SLOTS. A slot has two tags: one of a start page kept in memory, written by the block path,
and one of a page in the stream's own buffer, written by the reader. A tag is the stream's generation and the page's
number, so that a page read for an ended voice is never used for the next voice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

import numpy as np

from antiphon.api import FileError, Samples
from antiphon.api.backends.intrinsics import load_acquire, store_release
from antiphon.api.kernels import i64, i64p, kernel
from antiphon.files.decode import KeptDecoder
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

    Raises FileError: it cannot be played; the message names its folder and file.
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
"""Channels of a page; a mono page fills the first."""
HEAD = 4
"""Number of start pages in memory, 1.4 s at 48 kHz: enough time to read the following pages."""


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

    def begins(self, way: PageRange) -> bool:
        """True if the start pages of a range are in memory."""
        return all(page in self.pages for page in way.head())


@dataclass(frozen=True, slots=True)
class PageRange:
    """Range of pages that a note plays through."""

    first: int
    last: int
    step: int  # 1, or -1 where it plays backwards

    def head(self) -> range:
        """First `HEAD` pages of the range, or fewer."""
        count = min(HEAD, abs(self.last - self.first) + 1)
        return range(self.first, self.first + count * self.step, self.step)


Sample = DecodedSample | LongSample


def page_range(first: int, last: int, speed: float) -> PageRange:
    """Pages from frame `first` to before `last`; a negative `speed` plays backwards."""
    low, high = first // PAGE, (last - 1) // PAGE
    return PageRange(low, high, 1) if speed >= 0.0 else PageRange(high, low, -1)


def new_page() -> SamplePage:
    sound = np.zeros((PAGE_SIDES, PAD + PAGE + PAD), np.float32)
    return SamplePage(sound, int(sound.ctypes.data) + PAD * sound.itemsize)


STREAMS = 16
"""Maximum long samples played at once by a node."""
PLACES = STREAMS + 8
"""Number of streams, including those of voices fading out after voice stealing or cuts."""
SLOTS = 8
"""Page slots of a stream, 2.7 s at 48 kHz and speed 1."""
STRIDE = PAD + PAGE + PAD
"""Frames from one channel of a page to the next."""
PAGE_BYTES = 4 * PAGE_SIDES * STRIDE
GENERATION = 1 << 32
"""Tag factor of the generation; the page number is added."""
_SILENT = 1e-3
"""Minimum speed in the ordering of reads."""


class StreamWord(IntEnum):
    """Indices of a stream's words."""

    ON = 0
    GENERATION = 1
    AT = 2
    LAST = 3
    STEP = 4
    GIVEN = 5
    ADDRESS = 13
    READ = 21
    SIZE = 29


STARVED_WORD = PLACES * StreamWord.SIZE
"""Index, after all streams' words, of the counter of voices that ended for lack of a page."""


@kernel
def sampler_page(words: i64p, stream: i64, page: i64, buffer: i64) -> i64:
    """Address of a page's first frame; 0 if it is not in memory. `words`: see `StreamWord`."""
    w = stream * StreamWord.SIZE
    slot = page % SLOTS
    tag = words[w + StreamWord.GENERATION] * GENERATION + page
    found = i64(0)
    if words[w + StreamWord.GIVEN + slot] == tag:
        found = words[w + StreamWord.ADDRESS + slot]
    elif load_acquire(words, w + StreamWord.READ + slot) == tag:
        found = buffer + (stream * SLOTS + slot) * PAGE_BYTES + 4 * PAD
    return found


@kernel
def sampler_publish(words: i64p, at: i64, value: i64) -> None:
    """Release store: writes a word after all earlier writes."""
    store_release(words, at, value)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page needed by a voice."""

    stream: int
    generation: int
    sample: LongSample
    page: int
    blocks: float


class PageStreams:
    """Page streams of one node. `open` and `reset` are for the block path, `next` and `put` for the reader.

    `words`: see `StreamWord`; `buffer`: address of the pages.
    """

    def __init__(self) -> None:
        """Reserves the buffer; the system commits its memory as pages are read."""
        self.words = np.zeros(STARVED_WORD + 1, np.int64)
        self._pages = np.zeros((PLACES, SLOTS, PAGE_SIDES, STRIDE), np.float32)
        self.buffer = int(self._pages.ctypes.data)
        self._samples: list[LongSample | None] = [None] * PLACES
        self._speeds = [1.0] * PLACES
        self._opened = False

    @property
    def in_use(self) -> bool:
        """True while a voice reads a long sample."""
        if self._opened and not self.words[: STARVED_WORD : StreamWord.SIZE].any():
            self._opened = False
        return self._opened

    @property
    def starved_voices(self) -> int:
        """Number of voices that ended for lack of a page."""
        return int(self.words[STARVED_WORD])

    def reset(self) -> None:
        for stream in range(PLACES):
            self.words[stream * StreamWord.SIZE + StreamWord.ON] = 0
        self.words[STARVED_WORD] = 0

    def open(self, sample: LongSample, way: PageRange, speed: float) -> int:
        """Opens a stream for a new voice, whose kernel closes it; returns its number, -1 if none is free."""
        words = self.words
        for stream in range(PLACES):
            if words[stream * StreamWord.SIZE + StreamWord.ON] == 0:
                break
        else:
            return -1
        w = stream * StreamWord.SIZE
        # the sample first and the generation last: a reader that sees the new generation sees the new sample
        self._samples[stream], self._speeds[stream] = sample, max(_SILENT, abs(speed))
        words[w + StreamWord.AT], words[w + StreamWord.LAST], words[w + StreamWord.STEP] = way.first, way.last, way.step
        generation = int(words[w + StreamWord.GENERATION]) + 1
        for page in way.head():
            held = sample.pages.get(page)
            if held is not None:
                words[w + StreamWord.ADDRESS + page % SLOTS] = held.address
                words[w + StreamWord.GIVEN + page % SLOTS] = generation * GENERATION + page
        words[w + StreamWord.GENERATION] = generation
        words[w + StreamWord.ON] = 1
        self._opened = True
        return stream

    def next_page(self) -> PageRequest | None:
        """Most urgent missing page; None if there is none."""
        first: PageRequest | None = None
        for stream in range(PLACES):
            found = self._absent(stream)
            if found is not None and (first is None or found.blocks < first.blocks):
                first = found
        return first

    def _absent(self, stream: int) -> PageRequest | None:
        words, w = self.words, stream * StreamWord.SIZE
        generation, sample = int(words[w + StreamWord.GENERATION]), self._samples[stream]
        if not words[w + StreamWord.ON] or sample is None or sample.broken:
            return None
        at, last, step = (int(words[w + word]) for word in (StreamWord.AT, StreamWord.LAST, StreamWord.STEP))
        for ahead in range(min(SLOTS, abs(last - at) + 1)):
            page = at + ahead * step
            slot, tag = page % SLOTS, generation * GENERATION + page
            if tag not in (int(words[w + StreamWord.GIVEN + slot]), int(words[w + StreamWord.READ + slot])):
                return PageRequest(stream, generation, sample, page, ahead / self._speeds[stream])
        return None

    def put(self, request: PageRequest, read: Callable[[LongSample, int, Samples], bool]) -> None:
        """Reads a page into its slot, unless the voice has ended; `read` returns False on an error."""
        w, slot = request.stream * StreamWord.SIZE, request.page % SLOTS
        if read(request.sample, request.page, self._pages[request.stream, slot]):
            tag = request.generation * GENERATION + request.page
            sampler_publish(self.words, w + StreamWord.READ + slot, tag)
