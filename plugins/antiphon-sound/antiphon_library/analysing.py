"""Runs pending analyses of a catalogue, two sounds at a time; each result is written immediately.

Several processes can share the sounds: each sound is claimed before it is analysed.
"""

import os
import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from antiphon.api import FileError
from antiphon.api.backends.analysis import AnalysisResult, analyse_file, analyses
from antiphon.api.backends.files import printable_path
from antiphon.files.own_files import Claims as FileClaims
from antiphon_library.catalogue import Catalogue
from antiphon_library.scanning import Progress

CONCURRENCY = 2
REDRAW = 0.2
"""Interval in seconds of progress calls, and of checks on other processes' claims."""
CLAIMS = "library.claims"
"""Lock file of claims, beside the database."""


@dataclass(slots=True)
class AnalysisCounts:
    """Counts of sounds by outcome; `shared`: analysed by another process meanwhile.

    `problems`: path and sentence for unreadable sounds and for analyses without a result; `remarks`: path and sentence
    about the reading of a file.
    """

    analysed: int = 0
    known: int = 0
    shared: int = 0
    seconds: float = 0.0
    problems: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Work:
    """A sound under analysis. `done`: seconds analysed so far, written by its thread."""

    digest: str
    path: bytes
    duration: float
    lacks: tuple[str, ...]
    done: float = 0.0
    remarks: list[str] = field(default_factory=list)

    @property
    def number(self) -> int:
        """Number by which a process claims the work."""
        return int(self.digest[:15], 16)

    def run(self) -> dict[str, AnalysisResult]:
        return analyse_file(self.path, self.lacks, self._note, self.remarks.append)

    def _note(self, seconds: float) -> None:
        self.done = seconds


def analyse(
    catalogue: Catalogue,
    names: Collection[str],
    places: Sequence[Path],
    progress: Progress,
    *,
    again: bool = False,
    any_length: bool = True,
) -> AnalysisCounts:
    """Analyses sounds below `places`, or all, that lack results in the present version.

    `again` includes sounds that have results, `any_length` sounds that are longer than an analysis's `longest`.
    `progress` is called several times a second with seconds of sound. Raises `FileError`: the database cannot be used.
    """
    present, work = analyses(), dict[str, _Work]()
    known = set()
    for digest, path, duration, versions in catalogue.sounds():
        if places and not _among(path, places):
            continue
        wanted = (name for name in names if any_length or duration <= present[name].longest)
        lacks = tuple(name for name in wanted if again or versions.get(name) != present[name].version)
        if not lacks:
            known.add(digest)
        elif digest not in work:
            work[digest] = _Work(digest, path, duration, lacks)
    counts = AnalysisCounts(known=len(known))
    with closing(FileClaims(catalogue.path.with_name(CLAIMS))) as claims:
        _AnalysisShare(catalogue, claims, counts, again=again).run(list(work.values()), progress)
    return counts


@dataclass(slots=True)
class _AnalysisShare:
    """One process's part of the analysis of a catalogue."""

    catalogue: Catalogue
    claims: FileClaims
    counts: AnalysisCounts
    again: bool
    _elsewhere: deque[_Work] = field(default_factory=deque)

    def run(self, work: Sequence[_Work], progress: Progress) -> None:
        """Analyses all unclaimed sounds, then waits for those claimed by others."""
        total, done = sum(item.duration for item in work), 0.0
        rest = deque(work)
        waiting: deque[tuple[_Work, Future[dict[str, AnalysisResult]]]] = deque()
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            try:
                while True:
                    while len(waiting) < CONCURRENCY and (item := self._claimed(rest)) is not None:
                        waiting.append((item, pool.submit(item.run)))
                    if waiting:
                        item, future = waiting.popleft()
                        while not future.done():
                            partial = done + item.done + sum(other.done for other, _ in waiting)
                            progress(
                                round(partial), round(total), printable_path(os.fsdecode(os.path.basename(item.path)))
                            )
                            wait([future], REDRAW)
                        _take(self.catalogue, item, future, self.counts)
                        self.claims.release_claim(item.number)
                        done += item.duration
                    elif self._elsewhere:
                        progress(round(done), round(total), "what another `antiphon library analyse` has begun")
                        time.sleep(REDRAW)
                        rest, self._elsewhere = self._elsewhere, deque()
                    else:
                        break
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _claimed(self, rest: deque[_Work]) -> _Work | None:
        """Next unclaimed sound without results; None without any."""
        while rest:
            item = rest.popleft()
            if not self.claims.take(item.number):
                self._elsewhere.append(item)
                continue
            versions = {} if self.again else self.catalogue.versions(item.digest)
            item.lacks = tuple(name for name in item.lacks if versions.get(name) != analyses()[name].version)
            if item.lacks:
                return item
            self.claims.release_claim(item.number)
            self.counts.shared += 1
        return None


def _take(catalogue: Catalogue, item: _Work, future: Future[dict[str, AnalysisResult]], counts: AnalysisCounts) -> None:
    """Stores the results of a sound, or the reason for missing ones."""
    name = printable_path(os.fsdecode(item.path))
    try:
        results = future.result()
    except FileError as error:
        counts.problems.append((name, str(error)))
        return
    counts.remarks += [(name, remark) for remark in item.remarks]
    catalogue.put_results(item.digest, results)
    counts.analysed += 1
    counts.seconds += item.duration
    present = analyses()
    # of many analyses, one that needs a longer sound has no result, which is no fault of the sound's
    short = {key for key in results if len(results) > 1 and item.duration < present[key].shortest}
    counts.problems += [(name, problem) for key, (_, _, problem) in results.items() if problem and key not in short]


def _among(path: bytes, places: Sequence[Path]) -> bool:
    for place in places:
        name = os.fsencode(place.absolute())
        if path == name or path.startswith(name.rstrip(b"/") + b"/"):
            return True
    return False
