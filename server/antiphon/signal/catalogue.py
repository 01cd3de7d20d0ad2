"""The service `catalogue`: sounds identified by their samples, with their analysis results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FolderSound:
    """File of a folder.

    `digest`: of its sound; "" for a bad file. `problem`: why it cannot be read; "" for a good file. `results`: by
    analysis, of one and its variants (`name variant`), (version, values or None, problem).
    """

    digest: str
    problem: str
    results: dict[str, tuple[int, Mapping[str, Any] | None, str]]


@dataclass(frozen=True, slots=True)
class IdentifiedFile:
    """Recognised file of the catalogue.

    `offset`: seconds into it at which what was asked begins. `score`: 0 to 1, how far it stands out from chance.
    `kind`: "recording", or "piece": the same notes in time, of other instruments.
    """

    path: bytes
    offset: float
    score: float
    speed: float
    number: int
    kind: str


class SoundCatalogue(Protocol):
    """Open catalogue. Every method raises `FileError` if its database cannot be used."""

    def add(self, places: Sequence[Path]) -> None:
        """Adds files, and folders recursively; unchanged ones are not read."""

    def folder_sounds(self, folder: bytes, analysis: str) -> dict[bytes, FolderSound]:
        """Files of a folder by path, with the results of an analysis and of its variants."""

    def put_results(self, digest: str, results: Mapping[str, tuple[int, Mapping[str, Any] | None, str]]) -> None:
        """Writes results of a sound: by analysis its version, its values or None, and why it has none."""

    def identify(self, seconds: F64, hertz: F64) -> Sequence[IdentifiedFile]:
        """The files that landmarks come from, the best first; `seconds` ascend."""

    def refresh(self) -> None:
        """Updates `identify` with new analysis results."""

    def close(self) -> None:
        """Closes it."""


class CatalogueService(Protocol):
    """Interface of the service `catalogue`."""

    def exists(self, root: Path) -> bool:
        """Whether a folder holds a catalogue."""

    def open(self, root: Path) -> SoundCatalogue:
        """Opens the catalogue in a folder, creating it if missing."""
