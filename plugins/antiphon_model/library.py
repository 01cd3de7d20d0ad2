"""The model files of the library, for `antiphon models` and `antiphon doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from antiphon.api import AntiphonError
from antiphon.api.backends.models import FileListing
from antiphon_model.model_file import describe, in_library


class Library:
    """The `ModelFolder` of the performer's library."""

    def listed(self) -> Sequence[FileListing]:
        """Describes every method, and files that cannot be played; one that is new is tried, which takes seconds."""
        listings = []
        for path in in_library():
            try:
                file = describe(str(path))
            except AntiphonError as error:
                listings.append(FileListing(path.name, _size(path), problem=str(error)))
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


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
