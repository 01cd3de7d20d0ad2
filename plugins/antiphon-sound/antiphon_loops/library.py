"""Loop library: a folder of loops with its analysis in the catalogue, updated for changed sounds."""

import json
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from antiphon.api import AntiphonError, FileError, PluginError
from antiphon.api.backends.files import (
    SOUND_FORMATS,
    folder_in_library,
    printable_path,
    reason_of_os_error,
    write_atomic,
)
from antiphon_loops import rules
from antiphon_loops.analysis.reading import MAX_BYTES, NoLoop, TempoLabel, too_large
from antiphon_loops.record import Loop
from antiphon_loops.store import LoopStore, SoundKey

MAX_FILES = 20000
CONCURRENCY = 2
_MAX_NAMES = 4
"""Maximum loops named in a sentence."""
Progress = Callable[[int, int, str], None]
"""Callback with the number of files done, the number of files, and the name of the next."""


@dataclass(frozen=True, slots=True)
class Analysed:
    """The analysis of a folder."""

    folder: Path
    loops: tuple[Loop, ...]
    problems: tuple[str, ...]
    fresh: int

    @property
    def doubts(self) -> tuple[str, ...]:
        """A sentence for each loop without a detectable tempo."""
        return tuple(
            f"{x.file} has no beat from which to find a tempo; it is treated as {x.bars} bars at {x.bpm:.4g} bpm"
            for x in self.loops
            if x.tempo_sure == 0.0
        )

    def uncertain(self, stacking: rules.Rules) -> tuple[Loop, ...]:
        """Loops excluded by the rules because their tempo is uncertain."""
        return tuple(x for x in self.loops if stacking.leaves_out(x))


def uncertain_text(loops: Sequence[Loop]) -> str:
    """Sentence on loops of uncertain tempo."""
    names = [f"{printable_path(x.file)} ({tempos(x)})" for x in loops[:_MAX_NAMES]]
    more = f" and {len(loops) - len(names)} more" if len(loops) > len(names) else ""
    which = "1 loop is" if len(loops) == 1 else f"{len(loops)} loops are"
    return (
        f"{which} left out, for the tempo is uncertain: {', '.join(names)}{more}; write it into the name, as "
        f"{printable_path(_with_tempo(loops[0]))}"
    )


def tempos(loop: Loop) -> str:
    """Possible tempos of a loop: "120 or 60 bpm", "120 bpm" if no other is likely."""
    each = dict.fromkeys((f"{loop.bpm:.4g}", f"{loop.other_bpm:.4g}"))
    return f"{' or '.join(each)} bpm"


def _with_tempo(loop: Loop) -> str:
    """Example of a loop's name with its tempo."""
    stem, dot, ending = loop.file.rsplit("/", 1)[-1].rpartition(".")
    return f"{stem}-{loop.bpm:.0f}bpm{dot}{ending}"


def folder_of(name: str) -> Path:
    """Folder of a path, or of a name in the library of loops. Raises PluginError: there is no such folder."""
    return folder_in_library(name, "loops", PluginError)


def ready(folder: Path, progress: Progress | None = None) -> tuple[tuple[Loop, ...], rules.Rules]:
    """Loops and rules of a folder, analysed if needed; without loops of uncertain tempo.

    Raises PluginError: there is no loop in it that can be used, or its rules are invalid.
    """
    try:
        known, stacking = analyse(folder, progress), rules.load(folder)
    except AntiphonError as error:
        raise PluginError(str(error)) from None
    uncertain = known.uncertain(stacking)
    if len(uncertain) == len(known.loops):
        raise empty_error(folder, (uncertain_text(uncertain),) if uncertain else known.problems)
    return tuple(x for x in known.loops if x not in uncertain), stacking


def empty_error(folder: Path, problems: Sequence[str] = ()) -> PluginError:
    """Error for a folder without loops, with the first of the problems as the reason."""
    why = problems[0] if problems else f"their names end in {', '.join(SOUND_FORMATS)}"
    return PluginError(f"there is no loop in {folder.name[:80]!r}; {why}")


def analyse(folder: Path, progress: Progress | None = None, root: Path | None = None) -> Analysed:
    """Adds a folder to the catalogue and analyses its new files, two at a time.

    Each result is stored at once. A file with known size and time is not decoded; a moved or touched one is recognised
    by its content. `progress` is called before each file and at the end. Raises FileError: the catalogue cannot be
    used.
    """
    files = sorted(sound_files(folder))
    loops: list[Loop] = []
    problems: list[str] = []
    ahead: deque[_File] = deque()
    with LoopStore(folder, root) as store, _Pool(CONCURRENCY) as pool:
        work = _Work(store, pool)
        for n in range(len(files)):
            for later in files[n + len(ahead) : n + CONCURRENCY]:
                ahead.append(work.begin(later, later.relative_to(folder).as_posix()))
            file = ahead.popleft()
            if progress is not None:
                progress(n, len(files), file.name)
            loop, problem = work.end(file)
            if loop is not None:
                loops.append(loop)
            else:
                problems.append(problem)
        if progress is not None:
            progress(len(files), len(files), "")
    return Analysed(folder, tuple(loops), tuple(problems), work.fresh)


class _Pool(ThreadPoolExecutor):
    """Thread pool that cancels pending tasks when it is closed."""

    def __exit__(self, *error: object) -> None:
        self.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _File:
    """State of a file under analysis."""

    name: str  # its name, relative to the folder
    problem: str = ""
    key: SoundKey | None = None  # what its analysis depends on; None where it cannot be read
    work: Future[Loop | Exception] | None = None


def _fit_available() -> bool:
    from antiphon_loops.analysis import compatibility

    return compatibility.available()


@dataclass(slots=True)
class _Work:
    """Analyses of a folder's new sounds. `fresh`: number stored."""

    store: LoopStore
    pool: ThreadPoolExecutor
    fresh: int = 0
    _with_fit: bool = field(default_factory=_fit_available)
    _pending: dict[SoundKey, Future[Loop | Exception]] = field(default_factory=dict)

    def begin(self, path: Path, name: str) -> _File:
        """Looks up a file, and starts its analysis if it has none."""
        try:
            state = path.stat()
        except OSError as error:
            return _File(name, f"cannot read {name}: {reason_of_os_error(error)}")
        if not stat.S_ISREG(state.st_mode):
            return _File(name, f"cannot read {name}: it is no ordinary file")
        if state.st_size > MAX_BYTES:
            return _File(name, str(too_large(name)))
        if problem := self.store.problem(path, name):
            return _File(name, problem)
        key = self.store.key(path, name)
        known = self.store.known(key, name)
        if known is not None and (known[0] is None or known[0].fit or not self._with_fit):
            return _File(name, key=key)
        if key not in self._pending:
            loop = known[0] if known is not None else None
            told = [TempoLabel(loop.bpm, True, "user")] if loop is not None and loop.tempo_from == "user" else []
            self._pending[key] = self.pool.submit(_analyse_one, path, name, *told)
        return _File(name, key=key, work=self._pending[key])

    def end(self, file: _File) -> tuple[Loop | None, str]:
        """Loop of a file, or the reason for none; new results are stored."""
        if file.key is None:
            return None, file.problem
        if file.work is not None and self._pending.pop(file.key, None) is not None:
            found, known = file.work.result(), self.store.known(file.key, file.name)
            self.fresh += known is None
            if known is not None:  # only `fit` was missing
                if isinstance(found, Loop) and found.fit:
                    self.store.put_fit(file.key, found)
            elif isinstance(found, Loop):
                self.store.put(file.key, found)
            elif isinstance(found, NoLoop):
                self.store.put_reason(file.key, found.reason)
            else:  # it cannot be read now: that is no fact about the sound
                return None, str(found)
        known = self.store.known(file.key, file.name)
        return known or (None, f"cannot read {printable_path(file.name)}: its analysis failed; try again")


def sound_files(folder: Path) -> Iterable[Path]:
    """Sound files in a folder and below it; hidden files and links to folders are skipped."""
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(tuple(SOUND_FORMATS)) and not name.startswith("."):
                count += 1
                if count > MAX_FILES:
                    return
                yield Path(place) / name


def listing(loops: Sequence[Loop]) -> list[dict[str, Any]]:
    """Content of `--analysis OUT.json`: file, bpm, key or null, bars, instrument, and all other fields."""
    first = ("file", "bpm", "key", "bars", "instrument")
    rows = [x.to_json() for x in loops]
    return [{**{k: row[k] for k in first}, **{k: v for k, v in row.items() if k not in first}} for row in rows]


def write_listing(loops: Sequence[Loop], path: Path) -> None:
    write_atomic(path, (json.dumps(listing(loops), indent=1) + "\n").encode())


def settle(folder: Path, loop: Loop, bpm: float) -> bool:
    """Reanalyses a loop with a tempo given by a person; stores it and returns True if that makes whole bars of four.

    Raises FileError: the file or the database cannot be used.
    """
    from antiphon_loops.analysis.analyse import analyse_file

    path = folder / loop.file
    again = analyse_file(path, loop.file, TempoLabel(bpm, True, "user"))
    if again.tempo_from != "user":
        return False
    with LoopStore(folder) as store:
        if problem := store.problem(path, loop.file):
            raise FileError(problem)
        store.put(store.key(path, loop.file), again)
    return True


def _analyse_one(path: Path, name: str, *told: TempoLabel) -> Loop | Exception:
    from antiphon_loops.analysis.analyse import analyse_file

    try:
        return analyse_file(path, name, *told)
    except AntiphonError as error:
        return error
