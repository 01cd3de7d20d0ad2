"""The model files of the library, for `antiphon models` and `antiphon doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from antiphon.api import AntiphonError
from antiphon.api.models import FileListing
from antiphon_model.model_file import describe, in_library


class Library:
    """The `ModelFolder` of the performer's library."""

    def listed(self) -> Sequence[FileListing]:
        """Describes every model file; one that is new is tried, which takes seconds.

        Returns:
            One item for each method, and one for each file that cannot be played.
        """
        listings = []
        for path in in_library():
            try:
                file = describe(str(path))
            except AntiphonError as error:
                listings.append(FileListing(path.name, _size(path), problem=str(error)))
                continue
            for method in file.methods:
                problem = f"{path.name}: its method {method.name} {method.problem}" if method.problem else ""
                ports = (method.inputs, method.in_ratio, method.outputs, method.out_ratio)
                about = (file.rate, file.hop, method.latency, method.source, problem)
                listings.append(FileListing(path.name, file.bytes, file.format, method.name, *ports, *about))
        return listings


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
