"""Loop store of a folder: results of the analysis `loop` in the catalogue, stored with the sound.

A sound's result does not depend on its file's name. If a name, a chunk of the file or a person states a tempo, the
result with that tempo is another row of the same sound, a variant: "loop name 80".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from antiphon.api.backends.analysis import CatalogueService, SoundCatalogue, plain_result, service
from antiphon.api.backends.files import library_folder, printable_path
from antiphon_loops.analysis.catalogued import (
    COMPATIBLE_VERSIONS,
    FIT,
    NAME,
    REASON,
    FitAnalysis,
    loop_of,
    quantities_of,
    reason_values,
    to_stored,
)
from antiphon_loops.analysis.reading import TempoLabel, label_of, number_in
from antiphon_loops.record import Loop
from antiphon_loops.rules import Rules

USER = f"{NAME} user"
LABEL_QUANTITIES = {"genre": "genres", "tags": "tags"}
"""Analyses with labels of a sound, and their label quantity."""
_Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SoundKey:
    """Key of a stored analysis: everything it depends on."""

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
        label, number = label_of(path, name), number_in(name)
        return SoundKey(
            self._files[os.fsencode(path.absolute())].digest,
            _variant(label),
            "" if number is None else f"{NAME} number {number:g}",
            label.bpm is not None,
        )

    def known(self, key: SoundKey, name: str) -> tuple[Loop | None, str] | None:
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
            return replace(loop_of(values, name), fit=rows.get(_fit_row(variant), {}), labels=labels)
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
    """Row name for a stated tempo."""
    part = [] if label.first is None or label.last is None else [f"{label.first:g}-{label.last:g} s"]
    tempo = [] if label.bpm is None else [label.origin, f"{label.bpm:g}"]
    return " ".join([NAME, *tempo, *part])
