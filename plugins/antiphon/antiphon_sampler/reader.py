"""Page reader of long samples: pages needed next by voices, and start pages of notes."""

import threading
import time
import weakref
from collections import deque

from antiphon.api import FileError, Samples
from antiphon.api.backends.files import KeptDecoder
from antiphon.api.backends.runtime import say
from antiphon_sampler.library import sample_name
from antiphon_sampler.samples import PAD, PAGE, LongSample, PageWay, SamplePage, new_page
from antiphon_sampler.streams import PageStreams

MAX_BYTES = 128 << 20
"""Memory limit of start pages within samples; pages of samples' beginnings count with the library."""
LOOK = 0.01
"""Poll interval in seconds for page requests: waking a thread from the block path would cost a system call."""


class PageReader:
    """Reads pages of the long samples of a folder. `request` may be called on the block path."""

    def __init__(self, rate: int) -> None:
        """Creates an idle reader. `rate`: frames per second of the pages."""
        self.unreadable = 0
        self._decoder = KeptDecoder(rate)
        self._lock = threading.Lock()
        self._streams: tuple[weakref.ref[PageStreams], ...] = ()
        self._requests: deque[tuple[LongSample, PageWay]] = deque(maxlen=256)
        self._bytes = 0
        self._full = self.closed = False
        self._thread: threading.Thread | None = None

    def add(self, streams: PageStreams) -> None:
        """Registers a node's streams for reading, until the node is gone."""
        with self._lock:
            self._streams = (*(ref for ref in self._streams if ref() is not None), weakref.ref(streams))

    def request(self, sample: LongSample, way: PageWay) -> None:
        """Requests the start pages of a note, for the next note that starts there."""
        self._requests.append((sample, way))

    def begin(self, sample: LongSample, way: PageWay) -> int:
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

        Off the block path. False on a read error; the sample is then marked as broken and reported once.
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
                if self.closed:
                    return False
                sample.broken = True
                self.unreadable += 1
                if self.unreadable <= 8:
                    say(f"{error} (it is not played beyond this place)")
                return False
        into[: part.shape[0]] = part
        return True

    def fill(self, streams: PageStreams) -> None:
        """Reads all pages needed by a node's voices: on files, where the voices wait."""
        while (wanted := streams.next()) is not None:
            streams.put(wanted, self.read)

    def read_next(self) -> bool:
        """Reads the most urgent page, else one requested start. Returns False if there was none."""
        found = [(wanted, streams) for streams in self._nodes() if (wanted := streams.next()) is not None]
        if found:
            wanted, streams = min(found, key=lambda pair: pair[0].blocks)
            streams.put(wanted, self.read)
            return True
        try:
            sample, way = self._requests.popleft()
        except IndexError:
            return False
        if self._bytes < MAX_BYTES:
            self._bytes += self.begin(sample, way)
        elif not self._full:
            self._full = True
            say(
                f"{sample_name(sample.path)} is not played from further places: notes begin at more places "
                f"of long samples than the {MAX_BYTES >> 20} MB of memory for them hold; cut it into parts"
            )
        return True

    def start(self) -> None:
        """Reads in the background while any node plays the library."""
        if self._thread is None:
            self._thread = threading.Thread(target=_run, args=(weakref.ref(self),), name="sampler-pages", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ends the decoding process and the thread."""
        self.closed = True
        self._decoder.close()

    def _nodes(self) -> list[PageStreams]:
        return [streams for ref in self._streams if (streams := ref()) is not None]


def _run(reader: weakref.ref[PageReader]) -> None:
    while True:
        mine = reader()
        if mine is None or mine.closed:
            return
        idle = not mine.read_next()
        del mine
        if idle:
            time.sleep(LOOK)
