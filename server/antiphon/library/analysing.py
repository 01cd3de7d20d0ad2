"""Analyses what is pending in a catalogue, two sounds at a time; each result is written as soon as it is there."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from antiphon.errors import FileError
from antiphon.io.decode import shown
from antiphon.library.analyses import AnalysisResult, analyse_file, analyses
from antiphon.library.catalogue import Catalogue
from antiphon.library.scanning import Progress

AT_ONCE = 2
REDRAW = 0.2
"""Seconds between calls of the progress."""


@dataclass(slots=True)
class AnalysisCounts:
    """What was done, in sounds.

    Attributes:
        analysed: New results.
        known: Those that had them.
        seconds: Of what was analysed.
        problems: By path a sentence, of those that could not be read and of analyses without a result.
    """

    analysed: int = 0
    known: int = 0
    seconds: float = 0.0
    problems: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Work:
    """A sound that is analysed. done: its seconds so far, written by its thread."""

    digest: str
    path: bytes
    duration: float
    lacks: tuple[str, ...]
    done: float = 0.0

    def run(self) -> dict[str, AnalysisResult]:
        return analyse_file(self.path, self.lacks, self._note)

    def _note(self, seconds: float) -> None:
        self.done = seconds


def analyse(
    catalogue: Catalogue, names: Collection[str], places: Sequence[Path], progress: Progress, *, again: bool = False
) -> AnalysisCounts:
    """Analyses the sounds that lack results in the present version.

    Args:
        catalogue: Where they are, and where the results go.
        names: Of the analyses.
        places: Files and folders that have been added; none for all there is.
        progress: Called several times a second with seconds of sound.
        again: Also what has its results.

    Returns:
        What was done.

    Raises:
        FileError: The database cannot be used.
    """
    present = analyses()
    work: dict[str, _Work] = {}
    known = set()
    for digest, path, duration, versions in catalogue.sounds():
        if places and not _among(path, places):
            continue
        lacks = tuple(name for name in names if again or versions.get(name) != present[name].version)
        if lacks:
            work.setdefault(digest, _Work(digest, path, duration, lacks))
        else:
            known.add(digest)
    counts = AnalysisCounts(known=len(known))
    _run(catalogue, list(work.values()), counts, progress)
    return counts


def _run(catalogue: Catalogue, work: Sequence[_Work], counts: AnalysisCounts, progress: Progress) -> None:
    total = sum(item.duration for item in work)
    done = 0.0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting: deque[tuple[_Work, Future[dict[str, AnalysisResult]]]] = deque()
        rest = iter(work)
        try:
            while True:
                while len(waiting) < AT_ONCE and (item := next(rest, None)) is not None:
                    waiting.append((item, pool.submit(item.run)))
                if not waiting:
                    break
                item, future = waiting.popleft()
                while not future.done():
                    partial = done + item.done + sum(other.done for other, _ in waiting)
                    progress(round(partial), round(total), shown(os.fsdecode(os.path.basename(item.path))))
                    wait([future], REDRAW)
                _take(catalogue, item, future, counts)
                done += item.duration
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _take(catalogue: Catalogue, item: _Work, future: Future[dict[str, AnalysisResult]], counts: AnalysisCounts) -> None:
    """Writes the results of a sound, or notes why there are none."""
    name = shown(os.fsdecode(item.path))
    try:
        results = future.result()
    except FileError as error:
        counts.problems.append((name, str(error)))
        return
    catalogue.put_results(item.digest, results)
    counts.analysed += 1
    counts.seconds += item.duration
    present = analyses()
    # of many analyses, one that needs a longer sound has no result, which is no fault of the sound's
    short = {key for key in results if len(results) > 1 and item.duration < present[key].shortest}
    counts.problems += [(name, problem) for key, (_, _, problem) in results.items() if problem and key not in short]


def _among(path: bytes, places: Sequence[Path]) -> bool:
    """Whether a file is one of the places, or below one."""
    for place in places:
        name = os.fsencode(place.absolute())
        if path == name or path.startswith(name.rstrip(b"/") + b"/"):
            return True
    return False
