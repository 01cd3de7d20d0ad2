"""Samples of a folder, shared by nodes and decoded off the block path; pages of long ones as voices need them."""

import contextlib
import threading
import time
import weakref
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError, Samples
from antiphon.api.backends.files import file_size, printable_path
from antiphon.api.backends.runtime import say
from antiphon.files.decode import KeptDecoder
from antiphon_sampler.library import Listing, add_packs, list_folder, sample_name
from antiphon_sampler.loops import build_held_sample, read_sample_marks, sample_from_sound
from antiphon_sampler.samples import (
    PAD,
    PAGE,
    LongSample,
    PageRange,
    PageStreams,
    Sample,
    SamplePage,
    decode,
    new_page,
    page_range,
)

MAX_PAGE_BYTES = 128 << 20
"""Memory limit in bytes of start pages inside samples; pages at samples' beginnings count towards the library."""
LOOK = 0.01
"""Poll interval in seconds for page requests: waking a thread from the block path would cost a system call."""


class UnreadableFiles:
    """Files that cannot be played completely; any thread may add one. `count`: their number, float64 `[1]`."""

    SAID = 8
    """Number of files that are reported."""

    def __init__(self, count: NDArray[np.float64]) -> None:
        self._count = count
        self._lock = threading.Lock()

    def add(self, problem: str) -> None:
        """Counts a file, and reports it unless there were many."""
        with self._lock:
            self._count += 1
            said = self._count[0] <= self.SAID
        if said:
            say(problem)


class PageReader:
    """Reads pages of the long samples of a folder. `request` may be called on the block path."""

    def __init__(self, rate: int, unreadable: UnreadableFiles) -> None:
        """Creates an idle reader. `rate`: frames per second of the pages."""
        self._unreadable = unreadable
        self._decoder = KeptDecoder(rate)
        self._lock = threading.Lock()
        self._streams: tuple[weakref.ref[PageStreams], ...] = ()
        self._requests: deque[tuple[LongSample, PageRange]] = deque(maxlen=256)
        self._bytes = 0
        self._full = self.closed = False
        self._thread: threading.Thread | None = None

    def add(self, streams: PageStreams) -> None:
        """Registers a node's streams for reading, until the node is gone."""
        with self._lock:
            self._streams = (*(ref for ref in self._streams if ref() is not None), weakref.ref(streams))

    def request(self, sample: LongSample, way: PageRange) -> None:
        """Requests the start pages of a note, for the next note that starts at the same position."""
        self._requests.append((sample, way))

    def begin(self, sample: LongSample, way: PageRange) -> int:
        """Reads the start pages of a range; returns the bytes added to memory. Off the block path."""
        taken = 0
        for number in way.head():
            if number not in sample.pages:
                page = new_page()
                if not self.read(sample, number, page.sound):
                    break
                sample.pages[number] = page
                taken += page.sound.nbytes
        return taken

    def read(self, sample: LongSample, number: int, into: Samples) -> bool:
        """Fills float32 `[PAGE_SIDES, PAD + PAGE + PAD]` with a page.

        Not for the block path. Returns False on a read error; the sample is then marked as broken and reported once.
        """
        held: SamplePage | None = sample.pages.get(number)
        if held is not None:
            into[:] = held.sound
            return True
        with self._lock:
            if sample.broken:
                return False
            try:
                part = self._decoder.part(sample.path, number * PAGE - PAD, PAGE + 2 * PAD, sample_name(sample.path))
            except FileError as error:
                if not self.closed:
                    sample.broken = True
                    self._unreadable.add(f"{error} (it is not played beyond this place)")
                return False
        into[: part.shape[0]] = part
        return True

    def fill(self, streams: PageStreams) -> None:
        """Reads all pages needed by a node's voices; used offline, where voices wait."""
        while (wanted := streams.next_page()) is not None:
            streams.put(wanted, self.read)

    def read_next(self) -> bool:
        """Reads the most urgent page, else one requested start. Returns False if there is neither."""
        found = [(wanted, streams) for streams in self._nodes() if (wanted := streams.next_page()) is not None]
        if found:
            wanted, streams = min(found, key=lambda pair: pair[0].blocks)
            streams.put(wanted, self.read)
            return True
        try:
            sample, way = self._requests.popleft()
        except IndexError:
            return False
        if self._bytes < MAX_PAGE_BYTES:
            self._bytes += self.begin(sample, way)
        elif not self._full:
            self._full = True
            say(
                f"{sample_name(sample.path)} is not played from further places: notes begin at more places "
                f"of long samples than the {MAX_PAGE_BYTES >> 20} MB of memory for them hold; cut it into parts"
            )
        return True

    def start(self) -> None:
        """Starts reading in the background, as long as any node plays the library."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=_read_pages, args=(weakref.ref(self),), name="sampler-pages", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Ends the decoding process and the thread."""
        self.closed = True
        self._decoder.close()

    def _nodes(self) -> list[PageStreams]:
        return [streams for ref in self._streams if (streams := ref()) is not None]


def _read_pages(reader: weakref.ref[PageReader]) -> None:
    while True:
        mine = reader()
        if mine is None or mine.closed:
            return
        idle = not mine.read_next()
        del mine
        if idle:
            time.sleep(LOOK)


MAX_MEMORY_SECONDS = 30.0
"""Maximum seconds of a sample held in memory; a longer sample is read page by page during playback."""
MAX_BYTES = 512 << 20
"""Memory limit of one library's samples, bytes."""
MAX_EAGER_FILES = 2048
"""Maximum files of a library that is decoded completely; samples of larger ones are decoded on request."""
READY_SECONDS = 4.0
"""Maximum seconds `prepare` waits for a library's samples."""


class Sounds:
    """The samples of a folder at one rate. `get` may be called on the block path.

    `counts`: numbers of files decoded (of a long one its beginning), unreadable and listed, as float64, so that native
    code can read them.
    """

    def __init__(self, listing: Listing, rate: int) -> None:
        self.listing, self.rate = listing, rate
        self.counts = np.array([0.0, len(listing.problems), listing.files])
        self._unreadable = UnreadableFiles(self.counts[1:2])
        self.reader = PageReader(rate, self._unreadable)  # reads the pages of long samples
        self._starts: list[list[int]] = []
        paths: list[Path] = []
        for row in listing.samples:
            self._starts.append([])
            for sample in row:
                self._starts[-1].append(len(paths))
                paths += sample.layers
        self._paths = paths
        self._samples: list[Sample | None] = [None] * len(paths)
        self._tried = [False] * len(paths)
        self._bytes = 0
        self._live = self._long = False
        self._requests: deque[int] = deque(maxlen=1024)
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._next = 0
        # the shortest first: drums are there at once, pads later
        eager = range(len(paths) if len(paths) <= MAX_EAGER_FILES else 0)
        self._order = sorted(eager, key=lambda n: file_size(paths[n]))
        self._decoder = KeptDecoder(rate)
        self._decoding = threading.Lock()
        self._thread: threading.Thread | None = None

    def place(self, row: int, index: int, velocity: float) -> int:
        """Index of a file: sample `index` of row `row`, wrapping, in the layer for a velocity of 0 to 1."""
        samples = self.listing.samples[row]
        number = index % len(samples)
        return self._starts[row][number] + samples[number].layer(velocity)

    def get(self, place: int) -> Sample | None:
        """Sample at an index; None if it is not decoded yet, and it is then decoded next."""
        found = self._samples[place]
        if found is None and not self._tried[place]:
            self._requests.append(place)
            if not self._asked.is_set():
                self._asked.set()
        return found

    @property
    def decoded_count(self) -> int:
        """Number of files decoded."""
        return int(self.counts[0])

    @property
    def unreadable(self) -> int:
        """Number of files that cannot be decoded completely."""
        return int(self.counts[1])

    @property
    def complete(self) -> bool:
        """True once decoding of every file has been attempted."""
        return all(self._tried)

    def decode(self, place: int) -> Sample | None:
        """Decodes the sample at an index, unless it is already decoded. Off the block path."""
        if not self._tried[place]:
            try:
                sample, size = self._decode(self._paths[place])
            except FileError as error:
                self._unreadable.add(str(error))
            else:
                with self._lock:
                    fits = self._make_room(size)
                    if fits:
                        self._bytes += size
                        self._samples[place] = sample
                        self.counts[0] += 1
                if not fits:
                    self._unreadable.add(
                        f"{sample_name(self._paths[place])} is not played: the sounds of "
                        f"{printable_path(self.listing.folder.name)} take more than the {MAX_BYTES >> 20} MB that "
                        "are held in memory; make several folders of it"
                    )
            self._tried[place] = True
        return self._samples[place]

    def _make_room(self, size: int) -> bool:
        """Makes room for a sample of `size` bytes; returns whether it fits in memory. Must hold the lock."""
        return self._bytes + size <= MAX_BYTES

    def _decode(self, path: Path) -> tuple[Sample, int]:
        """Decodes a file, of a long one its beginning; returns the sample and its bytes of memory."""
        with self._decoding:
            file = decode(self._decoder, path, MAX_MEMORY_SECONDS)
        marks = read_sample_marks(path)
        if file.sound.shape[1]:
            whole = sample_from_sound(file.sound, self.rate, marks.root)
            held = build_held_sample(path, marks, file.sound, self.rate) if marks.last > marks.first else None
            if held is None:
                return whole, whole.sound.nbytes
            return replace(whole, held=held), whole.sound.nbytes + held.sound.nbytes
        sample = LongSample(path, file.sound.shape[0], file.frames, root=marks.root)
        self._long = True
        if self._live:
            self.reader.start()
        return sample, self.reader.begin(sample, page_range(0, file.frames, 1.0))

    def start(self) -> None:
        """Starts decoding in the background: a small library completely, a large one on request."""
        self._live = True
        if self._long:
            self.reader.start()
        if self._thread is None and not self.complete:
            # the thread must not keep the object: nodes do
            self._thread = threading.Thread(
                target=_run, args=(weakref.ref(self), self._asked), name="sampler", daemon=True
            )
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Waits until a small library is decoded, at most `seconds`."""
        end = time.monotonic() + seconds
        while not self.complete and len(self._paths) <= MAX_EAGER_FILES and time.monotonic() < end:
            time.sleep(0.005)

    def __del__(self) -> None:
        self._asked.set()
        self._decoder.close()
        self.reader.close()

    def warm(self) -> None:
        """Starts the decoding process ahead of the first request."""
        with self._decoding, contextlib.suppress(OSError):
            self._decoder.start()

    def read_next(self) -> bool:
        """Decodes the next file. Returns False if there is none at present."""
        place = self._take()
        if place >= 0:
            # where no process can be started it is tried again when it is asked for again
            with contextlib.suppress(OSError):
                self.decode(place)
        if self.complete:
            self._decoder.close()
        return place >= 0

    def _take(self) -> int:
        """Takes the next index to decode; -1 if there is none at present."""
        with self._lock:
            while self._requests:
                place = self._requests.popleft()
                if not self._tried[place]:
                    return place
            while self._next < len(self._order):
                self._next += 1
                if not self._tried[self._order[self._next - 1]]:
                    return self._order[self._next - 1]
        return -1


def _run(sounds: weakref.ref[Sounds], asked: threading.Event) -> None:
    """Decoding thread: runs until everything is decoded or no node plays the library any more."""
    begun = sounds()
    if begun is not None:
        begun.warm()
    del begun
    while True:
        mine = sounds()
        if mine is None or mine.complete:
            return
        asked.clear()
        idle = not mine.read_next()
        del mine
        if idle:
            asked.wait()


_sounds: weakref.WeakValueDictionary[tuple[str, int, tuple[Path, ...]], Sounds] = weakref.WeakValueDictionary()


def sounds_of(folder: Path, rate: int, also: tuple[Path, ...] = ()) -> Sounds:
    """Samples of a folder and of packs at a rate; nodes that play the same unchanged folders share them.

    Raises PluginError: the folder has no sound.
    """
    listing = add_packs(list_folder(folder), also)
    key = str(folder.resolve()), rate, also
    found = _sounds.get(key)
    if found is None or found.listing != listing:
        found = _sounds[key] = Sounds(listing, rate)
    return found
