"""The state of a training on disk, to resume it: a safetensors file with JSON as metadata; nothing is unpickled."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from antiphon.api import UsageError
from antiphon.api.backends.files import write_atomic

FILE = "checkpoint.safetensors"
_KEY = "progress"
Arrays: TypeAlias = dict[str, NDArray[Any]]


class CheckpointError(UsageError):
    """Error of an invalid checkpoint file."""


def keep(folder: Path, progress: Mapping[str, Any], groups: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    """Writes the checkpoint, and replaces the previous one once the new one is complete.

    `progress` is JSON data; `groups` ("weights", "average", "moments") map names to arrays.

    Raises `FileError`: it cannot be written.
    """
    named = {
        f"{group}/{name}": np.array(value, order="C")
        for group, arrays in groups.items()
        for name, value in arrays.items()
    }
    write_atomic(folder / FILE, save(named, {_KEY: json.dumps(dict(progress))}))


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Arrays]] | None:
    """Reads the checkpoint in a folder: progress, and arrays by group and name; None without one.

    Raises `CheckpointError`: the file is damaged.
    """
    path = folder / FILE
    groups: dict[str, Arrays] = {}
    try:
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        progress = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][_KEY])
        for name, value in load(content).items():
            group, _, rest = name.partition("/")
            groups.setdefault(group, {})[rest] = value
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no checkpoint ({error}); remove it, or train with --restart") from None
    return progress, groups
