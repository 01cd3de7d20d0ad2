"""Description of an external model file: its methods, ratios, rate and latency, found in a separate process.

A file is untrusted code: `antiphon_model.probe` reads, loads and tests it in a process with limits, which returns a
description or an error message. The description is kept in the cache folder under the file's checksum. Nothing here
imports torch or onnxruntime.
"""

import contextlib
import functools
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from antiphon.api import AntiphonError, FileError
from antiphon.api.backends.files import (
    cache_folder,
    file_size,
    library_folder,
    make_folder,
    printable_path,
    reason_of_os_error,
    write_atomic,
)
from antiphon.api.backends.models import FileListing, ModelError
from antiphon.api.backends.runtime import Child, ChildLane, ChildLimits, instead, say, spawn
from antiphon_model.landlock import landlock_version

SUFFIXES = (".onnx", ".ts", ".pt", ".torchscript")
"""Suffixes of library files listed by `antiphon models`; the node accepts any name."""
MAX_BYTES = 256 << 20
"""Maximum bytes of a file; RAVE's are 30 to 150 MB."""
PROBE_SECONDS = 30.0
"""Time limit in seconds of loading and testing a file, including torch's import."""
LIMITS = ChildLimits(nice=10)
"""Limits of the testing process; audio plays meanwhile."""
REFUSAL_SECONDS, SLOW_SECONDS = 10.0, 600.0
"""Seconds for which a refusal stays valid, as the engine asks twice; and a refusal for slowness."""
VERSION = 3
"""Version of description format and checks; cached descriptions of other versions are ignored."""
MIN_HOP = 512
"""Minimum hop in frames of a file without a larger ratio; shorter hops cost more than they save in latency."""
MAX_HOP = 65536
"""Maximum hop in frames: 1.4 s at 48 kHz."""


@dataclass(frozen=True, slots=True)
class ModelMethod:
    """Method of a file: sound or latents in, sound or latents out.

    `source`: origin of the latency: "declared", "measured", or "assumed" where neither was possible.
    """

    name: str  # as the file calls it; "forward" in an ONNX file
    inputs: int
    in_ratio: int  # frames of sound for each value of an input; 1 is sound, above it are latents
    outputs: int
    out_ratio: int
    latency: int = 0  # frames by which its sound lags, without the hop
    source: str = "assumed"
    problem: str = ""  # why it cannot be played, or ""

    @property
    def sound(self) -> bool:
        """Whether it maps sound to sound."""
        return self.in_ratio == 1 and self.out_ratio == 1


@dataclass(frozen=True, slots=True)
class ModelFile:
    """Description of a model file.

    `attributes`: settable names, with the kinds of their values: `("gain", "float")`.
    """

    path: str
    sha256: str
    bytes: int
    format: str  # "onnx" or "torchscript"
    rate: int  # frames per second it was made for; 0 where it does not say
    hop: int  # frames of its shortest hop; every hop is a multiple
    fixed: bool  # whether it takes hops of that length alone
    methods: tuple[ModelMethod, ...]
    attributes: tuple[tuple[str, str], ...] = ()

    def method(self, name: str) -> ModelMethod:
        """Playable method of that name. Raises ModelError: the file has no such method, or it failed its test."""
        found = next((m for m in self.methods if m.name == name), None)
        file = Path(self.path).name
        if found is None:
            raise ModelError(f"{file} has no method {name!r}{instead(name, (m.name for m in self.methods), 'it has')}")
        if found.problem:
            raise ModelError(f"{file}: its method {name} {found.problem}")
        return found

    def choose_hop(self, asked: int) -> int:
        """Hop in frames.

        `asked`: frames, or 0 for the file's own. Returns a multiple of the file's hop, of at least `MIN_HOP` frames
        unless fewer were asked for. Raises ModelError: the file takes hops of another length alone.
        """
        if self.fixed:
            if asked not in (0, self.hop):
                raise ModelError(f"{Path(self.path).name} takes hops of {self.hop} frames, not {asked}; set hop to 0")
            return self.hop
        return -(-(asked or MIN_HOP) // self.hop) * self.hop


class UntestedFile(ModelError):
    """Raised for a file that has not been tested yet; a process is testing it."""


def describe(path: str, wait: float = PROBE_SECONDS + 5.0) -> ModelFile:
    """Description of a model file, from the cache, or by loading and testing it in a separate process.

    The process continues if the caller stops waiting, and stores its result in the cache. Raises UntestedFile: there is
    no result within `wait` seconds. Raises ModelError: it is not a playable model; the message says why.
    """
    name = Path(path).name
    checksum, size = _checksum(path)
    cache_file = cache_for(checksum)
    until, tried = time.monotonic() + wait, False
    while (description := _json(cache_file)) is None:
        refusal = _json(refusal_for(cache_file))
        if refusal is not None and time.time() < refusal.get("until", 0.0):
            raise ModelError(f"{name}: {refusal['refused']}")
        if not tried:
            probe, tried = _start(path, cache_file), True
        elif probe.ended:
            tried = False  # it ended without a word, or another one is at work
            time.sleep(0.1)
        if time.monotonic() >= until:
            raise UntestedFile(f"{name} is being tried for the first time; load it again in some seconds")
        time.sleep(0.02)
    return ModelFile(
        path=path,
        sha256=str(description["sha256"]),
        bytes=size,
        format=str(description["format"]),
        rate=int(description["rate"]),
        hop=int(description["hop"]),
        fixed=bool(description["fixed"]),
        methods=tuple(ModelMethod(**method) for method in description["methods"]),
        attributes=tuple((str(name), str(kind)) for name, kind in description["attributes"]),
    )


def cache_for(checksum: str) -> Path:
    """The path of a description, by the file's sha256."""
    return cache_folder() / "models" / f"{checksum}-{VERSION}.json"


def refusal_for(cache_file: Path) -> Path:
    """Path of a refusal beside the description's path; the file contains its expiry."""
    return cache_file.with_suffix(".refused")


def read(path: str) -> bytes:
    """Reads a model file of at most `MAX_BYTES`. Raises ModelError: it cannot be read, is empty or too large."""
    with _opened(path) as file:
        return file.read(MAX_BYTES)


def in_library() -> list[Path]:
    """Paths of the model files of the library, by name."""
    try:
        return sorted(p for p in library_folder().iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    except OSError:
        return []


def _checksum(path: str) -> tuple[str, int]:
    """SHA-256 and size of a file, read in pieces to save the engine's memory; once until the file changes.

    A worker hashes what it loads, so a change that the file's times hide is refused there.
    """
    with _opened(path) as file:
        seen = os.fstat(file.fileno())
        kept = cache_folder() / "models" / f"{hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:16]}.sum"
        stamp = f"{seen.st_dev} {seen.st_ino} {seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns}"
        with contextlib.suppress(OSError, ValueError):
            before, checksum = kept.read_text().rsplit(" ", 1)
            if before == stamp:
                return checksum, seen.st_size
        checksum, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        with contextlib.suppress(OSError, FileError):
            make_folder(kept.parent)
            write_atomic(kept, f"{stamp} {checksum}".encode())
        return checksum, size


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BufferedReader]:
    name = Path(path).name
    if Path(path).suffix.lower() not in SUFFIXES:  # so that no sound that a client of HTTP sent is loaded as a model
        raise ModelError(f"{name} is no model file: its name ends in {', '.join(SUFFIXES)}")
    try:
        if not Path(path).is_file():
            raise ModelError(f"the model file {printable_path(path)} is not there, or no ordinary file")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise ModelError(f"{name} is larger than {MAX_BYTES >> 20} MB")
            if not size:
                raise ModelError(f"{name} is empty; copy or export it again")
            yield file
    except OSError as error:
        raise ModelError(f"{name} cannot be read: {reason_of_os_error(error)}") from None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        answer = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) and ("methods" in answer or "refused" in answer) else None


def _start(path: str, cache_file: Path) -> Child:
    """Starts the process that tests a file. It may outlive the caller, by `PROBE_SECONDS` at most."""
    if not landlock_version():
        _warn_once()
    make_folder(cache_file.parent)
    words = (path, str(cache_file), str(PROBE_SECONDS))
    try:
        return spawn("antiphon_model.probe:main", *words, limits=LIMITS, lane=ChildLane(), bound=False)
    except OSError as error:
        raise ModelError(f"{Path(path).name} cannot be tried: {reason_of_os_error(error)}") from None


@functools.cache
def _warn_once() -> None:
    say(
        "this system has no Landlock (Linux 5.13 and later): a model file that breaks out of its checks could change "
        "your files; take model files from people you would take a program from"
    )


class Library:
    """The `ModelFolder` of the performer's library."""

    def listed(self) -> Sequence[FileListing]:
        """Descriptions of every method, and of unplayable files; a new one is tested, which takes seconds."""
        listings = []
        for path in in_library():
            try:
                file = describe(str(path))
            except AntiphonError as error:
                listings.append(FileListing(path.name, file_size(path), problem=str(error)))
                continue
            for method in file.methods:
                problem = f"{path.name}: its method {method.name} {method.problem}" if method.problem else ""
                listings.append(
                    FileListing(
                        path.name,
                        file.bytes,
                        file.format,
                        method.name,
                        inputs=method.inputs,
                        in_ratio=method.in_ratio,
                        outputs=method.outputs,
                        out_ratio=method.out_ratio,
                        rate=file.rate,
                        hop=file.hop,
                        latency=method.latency,
                        source=method.source,
                        problem=problem,
                    )
                )
        return listings
