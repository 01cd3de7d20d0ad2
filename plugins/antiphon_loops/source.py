"""Where a node's material comes from: made at once on files, by a process of its own live, by the log in a replay."""

from __future__ import annotations

from pathlib import Path

from antiphon.api import IO
from antiphon.api.workers import ProcessorPart
from antiphon_loops.arrangement.arrange import LoopRequest
from antiphon_loops.arrangement.live import Preparer
from antiphon_loops.arrangement.maker import LoopMaterial, MaterialMaker

FIRST = -1_000_000
"""The place of the first request. Later ones have five a bar: one a beat, and one where the next bar is decided."""
_LIVE = 0


class MaterialSource(ProcessorPart):
    """Takes requests, gives material. All but `close` is for the block path.

    maker: does the work at once, and waits for it; for files.  preparer: live.  playing: material of it plays.
    """

    def __init__(self, library: str, rate: int, *, live: bool) -> None:
        """Opens the library.

        Args:
            library: A folder, or the name of one in the library of loops.
            rate: Frames per second of the material.
            live: Make it in a process of its own.

        Raises:
            FileError: There is no such folder, or no loop in it.
        """
        from antiphon_loops.library import folder_of, found_in, nothing_in, ready

        self._folder: Path = folder_of(library)
        self._rate = rate
        self.maker: MaterialMaker | None = None
        self._preparer: Preparer | None = None
        self._count = 0
        self.playing = False
        self._asked: LoopRequest | None = None
        self.reset()
        if live:
            if next(iter(found_in(self._folder)), None) is None:
                raise nothing_in(self._folder)
            self._preparer = Preparer(self._folder, rate)
        else:
            loops, rules = ready(self._folder)
            self._count = len(loops)
            self.maker = MaterialMaker(self._folder, loops, rules, rate)

    def reset(self) -> None:
        """Forgets what was asked for at which place, and what a log said of it."""
        self._seen: LoopRequest | None = None
        self._wants: dict[int, LoopRequest] = {}
        self._swaps: list[int] = []
        self._scripted = False

    @property
    def count(self) -> int:
        """Loops in the library, as far as it has been analysed."""
        return self._preparer.count if self._preparer is not None else self._count

    @property
    def busy(self) -> bool:
        """Whether something asked for is not there yet."""
        return self._preparer is not None and self._preparer.busy

    @property
    def problem(self) -> str:
        """Why what was asked for will not come, "" while it may."""
        return self._preparer.problem if self._preparer is not None else ""

    def begin(self, want: LoopRequest, io: IO) -> None:
        """The first block's request."""
        if self._preparer is not None and not self._scripted:
            io.mark("live", _LIVE)
        self._ask(FIRST, want)
        self._wants[FIRST] = want

    def look(self, place: int, want: LoopRequest) -> None:
        """What is wanted now is asked for, live. place: five a bar.

        A tempo on its way somewhere is not asked for between the beats of a bar: work that is overtaken is lost.
        """
        asked, seen = self._asked, self._seen
        self._seen = want
        if self._scripted:
            self._wants[place] = want
        elif place % 5 == 4 or asked is None or want.bpm == asked.bpm or want == seen:
            self._ask(place, want)

    def _ask(self, place: int, want: LoopRequest) -> None:
        if self._preparer is not None and want != self._asked:
            self._preparer.ask(place, want)
            self._asked = want

    def take(self, want: LoopRequest, coming: LoopMaterial | None, io: IO) -> LoopMaterial | None:
        """What the next bar is to play where it is not what plays now. coming: what was decided for it before."""
        if self._scripted:
            return self._made(self._wants.get(self._swaps.pop(0), want)) if self._swaps else coming
        if self._preparer is not None:
            done = self._preparer.take()
            if done is None:
                return coming
            io.mark("swap", done[0])
            return done[1]
        if want == self._asked:
            return coming
        self._asked = want
        return self._made(want)

    def _made(self, want: LoopRequest) -> LoopMaterial | None:
        """Waits for the work: on files only."""
        if self.maker is None:
            from antiphon_loops.library import ready

            self.maker = MaterialMaker(self._folder, *ready(self._folder), self._rate)
        return self.maker.make(want)

    def retry(self) -> None:
        """A process that was given up is started again."""
        if self._preparer is not None and self._preparer.problem:
            self._preparer.again()
            self._asked = None

    def recall(self, kind: str, number: int) -> None:
        """`live` and `swap` of a log: material comes where it came then."""
        if kind == "live":
            self._scripted = True
        elif kind == "swap":
            self._swaps.append(number)

    def standing(self) -> list[tuple[str, int]]:
        """That it is live, and that the first material plays already."""
        if self._preparer is None:
            return []
        return [("live", _LIVE), ("swap", FIRST)] if self.playing else [("live", _LIVE)]

    def close(self) -> None:
        """Ends the process."""
        if self._preparer is not None:
            self._preparer.close()
            self._preparer = None
