"""Weights that ship with Antiphon: safetensors files named in a manifest with their checksums. Nothing is unpickled."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.errors import PluginError
from antiphon.kernel.runtime import resources
from antiphon.kernel.runtime.paths import read_ordinary, write_atomic
from antiphon.kernel.runtime.resources import MANIFEST, parse_manifest

MAX_BYTES = 64 << 20


class ModelError(PluginError):
    """Weights that are missing, changed or invalid; a plugin logs the sentence and runs without them."""


def entry(name: str, folder: Path | None = None) -> dict[str, Any]:
    """Reads the manifest's entry of a model, without reading its weights.

    `folder`: the manifest's; None for the one that ships with Antiphon. Returns file, sha256, bytes, and the metadata
    given to `write_weights`. Raises ModelError: there is no manifest, or it does not name the model.
    """
    where = folder or resources.models()
    row = _manifest(where).get(name)
    if not isinstance(row, dict) or not isinstance(row.get("file"), str):
        raise ModelError(f"the manifest in {where} names no model {name!r}")
    return dict(row)


def names(folder: Path | None = None) -> list[str]:
    """Models in the manifest of `folder`, or in the shipped one. Raises ModelError: it cannot be read."""
    return [name for name, row in _manifest(folder or resources.models()).items() if isinstance(row, dict)]


def weights(name: str, folder: Path | None = None) -> dict[str, NDArray[Any]]:
    """Reads the arrays of a model, after comparing its file with the manifest's checksum. Nothing is unpickled.

    `folder`: the manifest's; None for the one that ships with Antiphon. Raises ModelError: the file is missing, larger
    than 64 MB, not a safetensors file, or has another checksum than in the manifest.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    row = entry(name, folder)
    path = (folder or resources.models()) / Path(row["file"]).name
    data = read_ordinary(path, MAX_BYTES, "a file of weights", ModelError)
    if hashlib.sha256(data).hexdigest() != row.get("sha256"):
        raise ModelError(f"the weights {path.name} are not those of the manifest; install Antiphon again")
    try:
        return dict(load(data))
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"the weights {path.name} are no safetensors file: {error}") from None


def write(name: str, arrays: dict[str, NDArray[Any]], folder: Path, details: dict[str, Any]) -> None:
    """Writes arrays as `name`.safetensors, and the checksum into the manifest. Raises FileError: one of both failed."""
    import tomli_w
    from safetensors.numpy import save

    data = save({key: np.ascontiguousarray(value) for key, value in arrays.items()})
    file = folder / f"{name}.safetensors"
    write_atomic(file, data)
    path = folder / MANIFEST
    manifest = tomllib.loads(path.read_text("utf-8-sig")) if path.exists() else {}
    manifest[name] = {"file": file.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), **details}
    write_atomic(path, tomli_w.dumps(manifest).encode())


def _manifest(where: Path) -> dict[str, Any]:
    try:
        return parse_manifest((where / MANIFEST).read_text("utf-8-sig"))
    except FileNotFoundError:
        raise ModelError(f"{where} holds no {MANIFEST}: no model is installed") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{where / MANIFEST} cannot be read: {error}") from None
