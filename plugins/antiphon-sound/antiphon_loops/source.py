"""Source of a node's material: computed inline on files, by a separate process live, by the log in a replay."""

from pathlib import Path

from antiphon.api import IO
from antiphon.api.backends.workers import ProcessorPart
from antiphon_loops.arrangement.arrange import LoopRequest
from antiphon_loops.arrangement.live import Preparer
from antiphon_loops.arrangement.maker import LoopMaterial, MaterialMaker

FIRST_DECISION = -1_000_000
"""Decision index of the first request. Later ones have five a bar: one a beat, and one at the next bar's latch.
"""
_LIVE = 0


class MaterialSource(ProcessorPart):
    """Accepts requests and returns material. All methods but `close` may be called on the block path.

    `maker`: computes material in place, on files; None live.
    """

    def __init__(self, library: str, rate: int, *, live: bool) -> None:
        """Opens a library; with `live` material is computed in a separate process.

        Raises FileError: there is no such folder, or no loop in it.
        """
        from antiphon_loops.library import empty_error, folder_of, ready, sound_files

        self._folder: Path = folder_of(library)
        self._rate = rate
        self.maker: MaterialMaker | None = None
        self._preparer: Preparer | None = None
        self._count = 0
        self.playing = False
        self._requested: LoopRequest | None = None
        self.reset()
        if live:
            if next(iter(sound_files(self._folder)), None) is None:
                raise empty_error(self._folder)
            self._preparer = Preparer(self._folder, rate)
        else:
            loops, rules = ready(self._folder)
            self._count = len(loops)
            self.maker = MaterialMaker(self._folder, loops, rules, rate)

    def reset(self) -> None:
        """Clears the requests and the log's records."""
        self._seen: LoopRequest | None = None
        self._requests: dict[int, LoopRequest] = {}
        self._swaps: list[int] = []
        self._scripted = False

    @property
    def count(self) -> int:
        """Number of loops analysed so far."""
        return self._preparer.count if self._preparer is not None else self._count

    @property
    def busy(self) -> bool:
        """True while a request is pending."""
        return self._preparer is not None and self._preparer.busy

    @property
    def problem(self) -> str:
        """Reason why the newest request failed, "" otherwise."""
        return self._preparer.problem if self._preparer is not None else ""

    def begin(self, request: LoopRequest, io: IO) -> None:
        """Submits the first block's request."""
        if self._preparer is not None and not self._scripted:
            io.mark("live", _LIVE)
        self._send_request(FIRST_DECISION, request)
        self._requests[FIRST_DECISION] = request

    def update(self, place: int, request: LoopRequest) -> None:
        """Submits a request live, if it differs from the last.

        `place` is a decision index, five a bar. During a tempo ramp only one request a bar is submitted, since work on
        an outdated tempo is discarded.
        """
        requested, seen = self._requested, self._seen
        self._seen = request
        if self._scripted:
            self._requests[place] = request
        elif place % 5 == 4 or requested is None or request.bpm == requested.bpm or request == seen:
            self._send_request(place, request)

    def _send_request(self, place: int, request: LoopRequest) -> None:
        if self._preparer is not None and request != self._requested:
            self._preparer.ask(place, request)
            self._requested = request

    def take(self, request: LoopRequest, coming: LoopMaterial | None, io: IO) -> LoopMaterial | None:
        """Material of the next bar: new, else `coming`, or None to keep the present one."""
        if self._scripted:
            return self._make(self._requests.get(self._swaps.pop(0), request)) if self._swaps else coming
        if self._preparer is not None:
            done = self._preparer.take()
            if done is None:
                return coming
            io.mark("swap", done[0])
            return done[1]
        if request == self._requested:
            return coming
        self._requested = request
        return self._make(request)

    def _make(self, request: LoopRequest) -> LoopMaterial | None:
        """Computes material inline, on files only."""
        if self.maker is None:
            from antiphon_loops.library import ready

            self.maker = MaterialMaker(self._folder, *ready(self._folder), self._rate)
        return self.maker.make(request)

    def retry(self) -> None:
        """Restarts the process after it failed."""
        if self._preparer is not None and self._preparer.problem:
            self._preparer.restart()
            self._requested = None

    def recall(self, kind: str, number: int) -> None:
        """Stores a `live` or `swap` record of a log: material then changes at the session's positions."""
        if kind == "live":
            self._scripted = True
        elif kind == "swap":
            self._swaps.append(number)

    def standing(self) -> list[tuple[str, int]]:
        """Records of the current state: that the node is live, and whether the first material plays."""
        if self._preparer is None:
            return []
        return [("live", _LIVE), ("swap", FIRST_DECISION)] if self.playing else [("live", _LIVE)]

    def close(self) -> None:
        if self._preparer is not None:
            self._preparer.close()
            self._preparer = None
