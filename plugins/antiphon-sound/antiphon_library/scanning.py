"""Catalogue update from folders: finds new, changed, moved and missing files. Unchanged files are not read."""

import hashlib
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np

from antiphon.api import FileError, Samples
from antiphon.api.backends.analysis import AnalysisResult
from antiphon.api.backends.files import READ_SUFFIXES, AudioInfo, Decoder, printable_path, reason_of_os_error as why
from antiphon.api.backends.runtime import shorten
from antiphon.kernel.runtime.paths import open_ordinary
from antiphon.offline.analyses import analyse_decoded
from antiphon_library.catalogue import Catalogue
from antiphon_library.records import SUMMARY, FileEntry, FileState, SoundIdentity

# ---- Identity of a file: a fast digest of its bytes, and one of its samples, independent of tags

DIGEST_BYTES = 20
MAX_REASON = 300
"""Maximum characters of the reason in a bad file's row: names may be thousands long."""


def digest_of(path: bytes) -> str:
    """The digest of a file's bytes. `OSError` if it cannot be read, or is a pipe or device, which might never end."""
    hashed = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with open(path, "rb", buffering=0, opener=open_ordinary) as file:
        while piece := file.read(1 << 20):
            hashed.update(piece)
    return hashed.hexdigest()


class SoundDigest:
    """Identity of a sound, computed from its decoded blocks. `info`: the file's metadata."""

    def __init__(self, info: AudioInfo) -> None:
        self._info, self._frames = info, 0
        self._hashed = hashlib.blake2b(f"{info.rate} {info.channels} ".encode(), digest_size=DIGEST_BYTES)

    def take(self, block: Samples) -> None:
        """Processes the next block, float32 `[channels, n]`."""
        self._frames += block.shape[1]
        self._hashed.update(np.ascontiguousarray(block.T).data)

    def identity(self) -> SoundIdentity | None:
        """Digest of all blocks; None without any sound."""
        info = self._info
        if self._frames == 0:
            return None
        return SoundIdentity(self._hashed.hexdigest(), self._frames / info.rate, info.rate, info.channels)


def read_entry(path: bytes, state: FileState, digest: str) -> FileEntry:
    """Row of a file, decoded completely, block by block; of a bad file with the reason."""
    try:
        with Decoder(Path(os.fsdecode(path))) as decoder:
            whole = SoundDigest(decoder.info)
            for block in decoder.blocks():
                whole.take(block)
    except FileError as error:
        return FileEntry(path, state, digest, None, problem=shorten(str(error), MAX_REASON))
    sound = whole.identity()
    if sound is None:
        return FileEntry(path, state, digest, None, problem=f"{printable_path(os.fsdecode(path))} holds no sound")
    return FileEntry(path, state, digest, sound, dict(decoder.info.tags))


def unreadable(path: bytes, state: FileState, error: OSError) -> FileEntry:
    """Row of a file that the operating system cannot open."""
    reason = f"cannot read {shorten(printable_path(os.fsdecode(path)), 120)}: {why(error)}"
    return FileEntry(path, state, "", None, problem=reason)


def identify_and_analyse(
    path: bytes, names: Collection[str], beats: int = 0
) -> tuple[SoundIdentity, Mapping[str, str], dict[str, AnalysisResult]]:
    """Returns the catalogue content of a file: the sound's identity, the file's tags, and results of analyses by name.

    `beats`: number of beats in the sound, 0 if unknown. Raises `FileError`: the file cannot be read, or has no
    sound.
    """
    with Decoder(Path(os.fsdecode(path))) as decoder:
        whole = SoundDigest(decoder.info)
        results = analyse_decoded(decoder, names, also=whole.take, beats=beats)
        sound = whole.identity()
        if sound is None:
            raise FileError(f"{decoder.name} holds no sound")
        return sound, dict(decoder.info.tags), results


# ---- Catalogue update from folders: new, changed, moved and missing files. Unchanged ones are not read

CONCURRENCY = 2
AHEAD = 8
"""Maximum files in progress, which bounds memory for any library size."""
Progress = Callable[[int, int, str], None]
"""Progress callback with bytes or seconds done, the total, and the current name."""


@dataclass(slots=True)
class ScanCounts:
    """Counts of files by scan result, and a sentence for each inaccessible place.

    `recognised`: new names of sounds with known bytes, moved or copied; they are not decoded.
    """

    added: int = 0
    changed: int = 0
    recognised: int = 0
    unchanged: int = 0
    missing: int = 0
    bad: int = 0
    problems: list[str] = field(default_factory=list)


def add(catalogue: Catalogue, places: Sequence[Path], progress: Progress, *, again: bool = False) -> ScanCounts:
    """Adds files, and folders recursively; each file's row is written as soon as it has been read.

    `progress` is called with bytes before each file that is read; `again` also reads bad files that have not changed.
    Raises `FileError`: a place does not exist, or the database cannot be used.
    """
    counts = ScanCounts()
    known = catalogue.states()
    bad = {row.path for row in catalogue.rows(only=SUMMARY) if row.problem} if again else set()
    work: list[tuple[bytes, FileState]] = []
    seen, gone = set[bytes](), set[bytes]()
    for place in places:
        for path, state in _files(place, counts):
            if path in seen:
                continue
            seen.add(path)
            if known.get(path) == state and path not in bad:
                counts.unchanged += 1
            else:
                work.append((path, state))
        gone |= _mark_missing(catalogue, place, known, seen, counts)
    total = sum(state.size for _, state in work)
    digests = set(catalogue.digests())
    for entry in _read(work, digests, progress, total):
        recognised = not entry.problem and entry.sound is None
        if recognised and entry.digest not in digests:  # a copy of a file that is bad, or comes later
            entry, recognised = read_entry(entry.path, entry.state, entry.digest), False
        if entry.sound is not None:
            digests.add(entry.digest)
        if recognised:
            sound, tags = catalogue.sound_of(entry.digest)
            entry = replace(entry, sound=sound, tags=tags)
        catalogue.put(entry)
        if entry.problem:
            counts.bad += 1
        if entry.path in known:
            counts.changed += 1
        elif recognised:
            counts.recognised += 1
        else:
            counts.added += 1
    counts.missing = len(gone & catalogue.states().keys())  # without those that were found elsewhere
    return counts


def _read(
    work: Iterable[tuple[bytes, FileState]], digests: Collection[str], progress: Progress, total: int
) -> Iterator[FileEntry]:
    """Rows of files, in order, read two at a time; without sound and problem where the digest is known or taken."""
    taken = _SeenDigests(digests)
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        waiting, ahead, done = iter(work), deque[tuple[bytes, Future[FileEntry]]](), 0
        try:
            while True:
                for path, state in islice(waiting, AHEAD - len(ahead)):
                    ahead.append((path, pool.submit(_read_one, path, state, taken)))
                if not ahead:
                    break
                path, reading = ahead.popleft()
                progress(done, total, printable_path(os.fsdecode(os.path.basename(path))))
                entry = reading.result()
                done += entry.state.size
                yield entry
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _SeenDigests:
    """Set of digests already read.

    Of copies in one folder, the copy whose digest is ready first is decoded, and also an earlier one in the order of
    the files.
    """

    def __init__(self, digests: Collection[str]) -> None:
        self._digests, self._lock = set(digests), threading.Lock()

    def take(self, digest: str) -> bool:
        """Adds a digest; returns whether it is new."""
        with self._lock:
            first = digest not in self._digests
            self._digests.add(digest)
            return first


def _read_one(path: bytes, state: FileState, taken: _SeenDigests) -> FileEntry:
    try:
        digest = digest_of(path)
    except OSError as error:
        return unreadable(path, state, error)
    return read_entry(path, state, digest) if taken.take(digest) else FileEntry(path, state, digest, None)


def _files(place: Path, counts: ScanCounts) -> Iterator[tuple[bytes, FileState]]:
    """Sound files of a place; a folder's hidden ones and links to folders are skipped."""
    try:
        found = os.stat(place)
    except (OSError, ValueError) as error:
        reason = why(error) if isinstance(error, OSError) else "its name holds a zero byte"
        name = shorten(printable_path(place), 120)
        raise FileError(
            f"cannot look at {name}: {reason}; is its disk connected? What the library has of it is kept"
        ) from None
    if not stat.S_ISDIR(found.st_mode):
        yield os.fsencode(place.absolute()), FileState(found.st_size, found.st_mtime_ns)
        return
    for path in _walk(os.fsencode(place.absolute()), counts):
        try:
            state = os.stat(path)
        except OSError as error:
            counts.problems.append(f"cannot look at {shorten(printable_path(os.fsdecode(path)), 120)}: {why(error)}")
            continue
        if stat.S_ISREG(state.st_mode):
            yield path, FileState(state.st_size, state.st_mtime_ns)


def _walk(folder: bytes, counts: ScanCounts) -> Iterable[bytes]:
    endings = tuple(ending.encode() for ending in READ_SUFFIXES)

    def failed(error: OSError) -> None:
        name = shorten(printable_path(os.fsdecode(error.filename)), 120)
        counts.problems.append(f"cannot look into {name}: {why(error)}; what the library has of it is kept")

    for place, folders, names in os.walk(folder, onerror=failed):
        folders[:] = sorted(name for name in folders if not name.startswith(b"."))
        for name in sorted(names):
            if name.lower().endswith(endings) and not name.startswith(b"."):
                yield os.path.join(place, name)


def _mark_missing(
    catalogue: Catalogue, place: Path, known: dict[bytes, FileState | None], seen: set[bytes], counts: ScanCounts
) -> set[bytes]:
    """Marks catalogued files below a folder as missing if the scan did not find them; none if it had problems."""
    if counts.problems or not place.is_dir():
        return set()
    within = os.fsencode(place.absolute()).rstrip(b"/") + b"/"
    gone = [path for path, state in known.items() if state is not None and path.startswith(within) and path not in seen]
    gone = [path for path in gone if not os.path.lexists(path)]
    if gone:
        catalogue.mark(gone, missing=True)
    return set(gone)
