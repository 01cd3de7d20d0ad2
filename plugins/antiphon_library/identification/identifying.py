"""Identifies a sound: its landmarks are searched in the catalogue's index, window by window."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from antiphon.api import UsageError
from antiphon.api.backends.analysis import IdentifiedFile, analyse_file, analyses, unpack_landmarks
from antiphon_library.catalogue import Catalogue
from antiphon_library.identification.fingerprints import F64, ShardSet
from antiphon_library.identification.matching import FingerprintMatch, SoundLandmarks, matches

WINDOW = 12.0
"""Length of a query window in seconds."""
_WINDOWS = 8
"""Maximum windows of a longer sound, until one is recognised."""
MIN_SECONDS = 1.0
"""Minimum length of a recognisable sound in seconds."""


def analysis_of_landmarks() -> str:
    """Name of the analysis with landmarks. Raises `UsageError`: no plugin has one."""
    for name, analysis in analyses().items():
        if any(quantity.kind == "landmarks" for quantity in analysis.quantities):
            return name
    raise UsageError("no plugin has an analysis that gives landmarks; `antiphon plugins` says which plugins there are")


def landmarks_of(path: Path, progress: Callable[[float], None] = lambda _: None) -> tuple[F64, F64]:
    """Landmarks of a file in seconds and Hz; `progress` is called with processed seconds.

    Raises `FileError`: it cannot be read; `UsageError`: it is too short, silent, or its analysis failed; the sentence
    says which.
    """
    name = analysis_of_landmarks()
    lasted = 0.0

    def note(seconds: float) -> None:
        nonlocal lasted
        lasted = seconds
        progress(seconds)

    _, values, problem = analyse_file(os.fsencode(path), [name], note)[name]
    if values is None:
        raise UsageError(problem)
    data = next((value for value in values.values() if isinstance(value, bytes)), b"")
    shown = path.name[:120]
    if lasted < MIN_SECONDS:
        raise UsageError(
            f"{shown} lasts {lasted:.2f} s; {MIN_SECONDS:g} s are needed to recognise a sound, 5 s are better"
        )
    if not data:
        raise UsageError(f"{shown} is silent, and cannot be recognised")
    return unpack_landmarks(data)


def identify_files(catalogue: Catalogue, index: ShardSet, seconds: F64, hertz: F64) -> list[IdentifiedFile]:
    """Source files of landmarks, best first; `seconds` ascend.

    `offset` of each is that of second 0 of the landmarks.
    """

    def landmarks(serial: int) -> SoundLandmarks:
        rows = [unpack_landmarks(data) for _, data in catalogue.landmarks([serial])]
        return SoundLandmarks(*rows[0]) if rows else SoundLandmarks(np.zeros(0), np.zeros(0))

    for begin in _windows(seconds):
        chosen = slice(*np.searchsorted(seconds, (begin, begin + WINDOW)))
        found = matches(index, seconds[chosen] - begin, hertz[chosen], landmarks)
        if found:
            return [file for match in found for file in _files(catalogue, match, begin)]
    return []


def _windows(seconds: F64) -> list[float]:
    """Starts of windows, spread over the sound, each with landmarks."""
    if not len(seconds):
        return []
    last = max(float(seconds[0]), float(seconds[-1]) - WINDOW)
    count = min(_WINDOWS, 1 + int(np.ceil((last - float(seconds[0])) / WINDOW)))
    return [float(begin) for begin in np.linspace(float(seconds[0]), last, count)]


def _files(catalogue: Catalogue, match: FingerprintMatch, begin: float) -> list[IdentifiedFile]:
    number, paths = catalogue.files_of(match.serial)
    offset = round(match.offset - begin * match.speed, 3)
    return [IdentifiedFile(path, offset, round(match.score, 4), match.speed, number, match.kind) for path in paths]
