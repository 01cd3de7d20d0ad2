"""Loop library: a folder of loops with its analysis in the catalogue, updated when sounds change."""

from __future__ import annotations

import json
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from antiphon.api import AntiphonError, FileError, PluginError
from antiphon.api.backends.analysis import CatalogueService, SoundCatalogue, plain_result, service
from antiphon.api.backends.files import (
    SOUND_FORMATS,
    folder_in_library,
    library_folder,
    printable_path,
    reason_of_os_error,
    write_atomic,
)
from antiphon_loops import rules
from antiphon_loops.analysis.catalogued import (
    COMPATIBLE_VERSIONS,
    FIT,
    NAME,
    REASON,
    FitAnalysis,
    loop_from_values,
    quantities_of,
    reason_values,
    to_stored,
)
from antiphon_loops.analysis.reading import MAX_BYTES, NoLoop, TempoLabel, number_in, read_tempo_label, too_large
from antiphon_loops.record import Loop
from antiphon_loops.rules import Rules

# ---- Loop store of a folder: results of the analysis `loop` in the catalogue, stored with the sound
# A sound's result does not depend on its file's name. If a name, a chunk of the file or a person states a tempo, the
# result with that tempo is another row of the same sound, a variant: "loop name 80".

USER = f"{NAME} user"
LABEL_QUANTITIES = {"genre": "genres", "tags": "tags"}
"""Analyses with labels of a sound, and the quantity of each that holds them."""
_Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SoundKey:
    """Key of a stored analysis, with everything that the analysis depends on."""

    digest: str
    label: str  # the variant by what its name or a chunk of it states for certain; `NAME` without a statement
    number: str  # the variant by a number that stands alone in its name; "" without one
    stated: bool


class LoopStore:
    """Catalogue of the user's library, with a folder added to it; a context manager.

    `root`: the folder of the catalogue; None for the user's. Raises FileError: the database cannot be used.
    """

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        catalogues: CatalogueService = service("catalogue")
        self._catalogue: SoundCatalogue = catalogues.open(root or library_folder())
        try:
            self._catalogue.add([folder])
            place = os.fsencode(folder.absolute())
            self._files = self._catalogue.folder_sounds(place, NAME)
            beside = {name: self._catalogue.folder_sounds(place, name) for name in (FIT, *LABEL_QUANTITIES)}
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._known: dict[str, dict[str, _Values]] = {}
        for name, files in ((NAME, self._files), *beside.items()):
            versions = {NAME: COMPATIBLE_VERSIONS, FIT: (FitAnalysis.version,)}.get(name)
            for file in files.values():
                for variant, (version, values, _) in file.results.items():
                    if values is not None and (versions is None or version in versions):
                        self._known.setdefault(file.digest, {})[variant] = values

    def __enter__(self) -> LoopStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._catalogue.close()

    def problem(self, path: Path, name: str) -> str:
        """Reason why a file cannot be read, one sentence that names it `name`; "" for a good one."""
        file = self._files.get(os.fsencode(path.absolute()))
        if file is None:
            return f"cannot read {printable_path(name)}: it changed while it was looked at; try again"
        whole = printable_path(path.absolute())
        if file.problem and whole not in file.problem:
            return f"cannot read {printable_path(name)}: it is no sound file that can be decoded"
        return file.problem.replace(whole, printable_path(name))

    def key(self, path: Path, name: str) -> SoundKey:
        """Analysis key of a good file."""
        label, number = read_tempo_label(path, name), number_in(name)
        return SoundKey(
            self._files[os.fsencode(path.absolute())].digest,
            _variant(label),
            "" if number is None else f"{NAME} number {number:g}",
            label.bpm is not None,
        )

    def read(self, key: SoundKey, name: str) -> tuple[Loop | None, str] | None:
        """Stored analysis of a file: its loop, or None and the reason; None if it was not analysed."""
        rows = self._known.get(key.digest, {})
        if reason := rows.get(NAME, {}).get(REASON):
            return None, f"{name} is no loop: {reason}"
        base = self._loop(key.digest, key.label, name)
        stated = key.stated and base is not None and base.tempo_from in ("name", "file")
        user = self._loop(key.digest, USER, name)
        if user is not None and not stated and (base is not None or not key.stated):
            return user, ""
        numbered = self._loop(key.digest, key.number, name)
        if base is not None and (not key.number or not Rules().leaves_out(base)):
            return base, ""
        return None if numbered is None else (numbered, "")

    def put_fit(self, key: SoundKey, loop: Loop) -> None:
        """Stores a loop's `fit` analysis."""
        variant = {"user": USER, "number": key.number}.get(loop.tempo_from, key.label)
        row = plain_result(FIT, FitAnalysis(), loop.fit)
        name = _fit_row(variant)
        self._catalogue.put_results(key.digest, {name: (FitAnalysis.version, row, "")})
        self._known.setdefault(key.digest, {})[name] = row

    def put(self, key: SoundKey, loop: Loop) -> None:
        """Stores a new loop with its sound."""
        if loop.fit:
            self.put_fit(key, loop)
        values = quantities_of(loop)
        if loop.tempo_from == "user":
            self._write(key.digest, {USER: values})
        elif loop.tempo_from == "number":
            self._write(key.digest, {key.number: values})
        else:  # a number in its name was of no use
            tried = {key.number: values} if key.number and Rules().leaves_out(loop) else {}
            self._write(key.digest, {key.label: values, **tried})

    def put_reason(self, key: SoundKey, reason: str) -> None:
        """Stores the reason why a sound is no loop."""
        self._write(key.digest, {NAME: reason_values(reason)})

    def _loop(self, digest: str, variant: str, name: str) -> Loop | None:
        rows = self._known.get(digest, {})
        values = rows.get(variant)
        labels = {
            label: probability
            for kind, row in LABEL_QUANTITIES.items()
            for label, probability in rows.get(kind, {}).get(row) or ()
        }
        try:
            if values is None:
                return None
            return replace(loop_from_values(values, name), fit=rows.get(_fit_row(variant), {}), labels=labels)
        except (KeyError, TypeError, ValueError):  # as another program has written it
            return None

    def _write(self, digest: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
        plain = {variant: to_stored(values) for variant, values in rows.items()}
        # as the version before, so that `library analyse` adds the fields that a loop itself lacks
        self._catalogue.put_results(digest, {name: (COMPATIBLE_VERSIONS[0], row, "") for name, row in plain.items()})
        self._known.setdefault(digest, {}).update(plain)


def _fit_row(variant: str) -> str:
    """Row name of `fit` for a row of `loop`."""
    return FIT + variant.removeprefix(NAME)


def _variant(label: TempoLabel) -> str:
    """Name of a loop's row in the library for a tempo that the user states."""
    part = [] if label.first is None or label.last is None else [f"{label.first:g}-{label.last:g} s"]
    tempo = [] if label.bpm is None else [label.origin, f"{label.bpm:g}"]
    return " ".join([NAME, *tempo, *part])


MAX_FILES = 20000
CONCURRENCY = 2
_MAX_NAMES = 4
"""Maximum loops named in a sentence."""
Progress = Callable[[int, int, str], None]
"""Callback with the number of files done, the number of files, and the name of the next."""


@dataclass(frozen=True, slots=True)
class AnalysedFolder:
    """The result of analysing a folder."""

    folder: Path
    loops: tuple[Loop, ...]
    problems: tuple[str, ...]
    fresh: int

    @property
    def tempo_remarks(self) -> tuple[str, ...]:
        """A sentence for each loop without a detectable tempo."""
        return tuple(
            f"{x.file} has no beat from which to find a tempo; it is treated as {x.bars} "
            f"bar{'s' * (x.bars != 1)} at {x.bpm:.4g} bpm"
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


def analyse(folder: Path, progress: Progress | None = None, root: Path | None = None) -> AnalysedFolder:
    """Adds a folder to the catalogue and analyses its new files, two at a time.

    Each result is stored at once. A file with known size and time is not decoded; a moved or touched one is recognised
    by its content. `progress` is called before each file and at the end. Raises FileError: the catalogue cannot be
    used.
    """
    files = sorted(sound_files(folder))
    loops: list[Loop] = []
    problems: list[str] = []
    ahead: deque[_AnalysedFile] = deque()
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
    return AnalysedFolder(folder, tuple(loops), tuple(problems), work.fresh)


class _Pool(ThreadPoolExecutor):
    """Thread pool that cancels pending tasks when it is closed."""

    def __exit__(self, *error: object) -> None:
        self.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _AnalysedFile:
    """State of a file under analysis."""

    name: str  # its name, relative to the folder
    problem: str = ""
    key: SoundKey | None = None  # what its analysis depends on; None where it cannot be read
    work: Future[Loop | Exception] | None = None


@dataclass(slots=True)
class _Work:
    """Analyses of a folder's new sounds. `fresh`: number stored."""

    store: LoopStore
    pool: ThreadPoolExecutor
    fresh: int = 0
    _pending: dict[SoundKey, Future[Loop | Exception]] = field(default_factory=dict)

    def begin(self, path: Path, name: str) -> _AnalysedFile:
        """Looks up a file, and starts its analysis if it has none."""
        try:
            state = path.stat()
        except OSError as error:
            return _AnalysedFile(name, f"cannot read {name}: {reason_of_os_error(error)}")
        if not stat.S_ISREG(state.st_mode):
            return _AnalysedFile(name, f"cannot read {name}: it is no ordinary file")
        if state.st_size > MAX_BYTES:
            return _AnalysedFile(name, str(too_large(name)))
        if problem := self.store.problem(path, name):
            return _AnalysedFile(name, problem)
        key = self.store.key(path, name)
        known = self.store.read(key, name)
        if known is not None and (known[0] is None or known[0].fit):
            return _AnalysedFile(name, key=key)
        if key not in self._pending:
            loop = known[0] if known is not None else None
            told = [TempoLabel(loop.bpm, True, "user")] if loop is not None and loop.tempo_from == "user" else []
            self._pending[key] = self.pool.submit(_analyse_one, path, name, *told)
        return _AnalysedFile(name, key=key, work=self._pending[key])

    def end(self, file: _AnalysedFile) -> tuple[Loop | None, str]:
        """Stores the new result of a file's analysis; returns the loop, or None and the reason why there is none."""
        if file.key is None:
            return None, file.problem
        if file.work is not None and self._pending.pop(file.key, None) is not None:
            found, known = file.work.result(), self.store.read(file.key, file.name)
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
        known = self.store.read(file.key, file.name)
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
