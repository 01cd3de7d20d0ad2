"""Unshipped model files, as `antiphon models` and `antiphon doctor` list them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class FileListing:
    """List entry of one method of a model file, or of a file that cannot be played.

    Attributes:
        format: "torchscript", "onnx", or "" where it is not known.
        in_ratio: Frames of sound for each value of an input; 1 is sound.
        rate: Frames per second that the file was made for; 0 where it does not say.
        hop: Frames of its shortest hop.
        latency: Frames by which its sound lags, without the hop.
        source: Where the latency is from: "declared", "measured" or "assumed".
        problem: Why it cannot be played, or "".
    """

    file: str
    bytes: int = 0
    format: str = ""
    method: str = ""
    inputs: int = 0
    in_ratio: int = 1
    outputs: int = 0
    out_ratio: int = 1
    rate: int = 0
    hop: int = 0
    latency: int = 0
    source: str = ""
    problem: str = ""


@runtime_checkable
class ModelFolder(Protocol):
    """A folder of model files; a factory of `antiphon_models` may return it in place of a `ModelInfo`."""

    def listed(self) -> Sequence[FileListing]:
        """Lists the methods of its files."""
