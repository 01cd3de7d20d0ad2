"""Page streams of a node's long-sample voices: shared state of reader and block path.

A stream belongs to one voice for its lifetime. It holds `SLOTS` pages ahead of the voice, page p in slot p % SLOTS. A
slot has two tags, of a start page kept in memory, written by the block path, and of a page in the stream's own buffer,
written by the reader; a tag is the stream's generation and the page's number, so that a page read for an ended voice is
never taken for one of the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.intrinsics import load_acquire, store_release
from antiphon.api.kernels import i64, i64p, kernel
from antiphon_sampler.samples import PAD, PAGE, PAGE_SIDES, LongSample, PageWay

STREAMS = 16
"""Maximum long samples played at once by a node."""
PLACES = STREAMS + 8
"""Streams, including fading-out voices after voice stealing or cuts."""
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
"""Index of the counter of voices that ended for lack of a page; after all streams' words."""


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
    def starved(self) -> int:
        """Number of voices that ended for lack of a page."""
        return int(self.words[STARVED_WORD])

    def reset(self) -> None:
        for stream in range(PLACES):
            self.words[stream * StreamWord.SIZE + StreamWord.ON] = 0
        self.words[STARVED_WORD] = 0

    def open(self, sample: LongSample, way: PageWay, speed: float) -> int:
        """Opens a stream for a new voice, whose kernel closes it; its number, or -1 if none is free."""
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

    def next(self) -> PageRequest | None:
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
