"""The service `catalogue`, through which other plugins use the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from antiphon.api.backends.analysis import IdentifiedFile
from antiphon.signal.analysis import FolderSound
from antiphon_library import scanning
from antiphon_library.catalogue import Catalogue
from antiphon_library.fingerprints import F64, present
from antiphon_library.identifying import identify_files


class CatalogueOfSounds:
    """Implements `antiphon.api.backends.analysis.CatalogueService`."""

    def exists(self, root: Path) -> bool:
        return Catalogue.exists(root)

    def open(self, root: Path) -> OpenCatalogue:
        return OpenCatalogue(Catalogue(root))


class OpenCatalogue:
    """Implements `antiphon.api.backends.analysis.SoundCatalogue`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue, self._index = catalogue, present(catalogue)

    def add(self, places: Sequence[Path]) -> None:
        scanning.add(self._catalogue, places, lambda done, of, name: None)

    def folder_sounds(self, folder: bytes, analysis: str) -> dict[bytes, FolderSound]:
        return self._catalogue.folder_sounds(folder, analysis)

    def put_results(self, digest: str, results: Mapping[str, tuple[int, Mapping[str, Any] | None, str]]) -> None:
        self._catalogue.put_results(digest, results)

    def identify(self, seconds: F64, hertz: F64) -> Sequence[IdentifiedFile]:
        return identify_files(self._catalogue, self._index, seconds, hertz)

    def refresh(self) -> None:
        self._index = present(self._catalogue)

    def close(self) -> None:
        self._catalogue.close()
