"""A training as it stands, kept so that it can go on: safetensors and a line of JSON inside, nothing unpickled."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from antiphon.api import UsageError

FILE = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """step: of the next batch.  seconds: trained so far.  lost: batches left out, for their loss was not finite.
    began_with: the checksum of weights that were there, "" where they were drawn.
    """

    recipe: str
    seed: int
    step: int
    seconds: float
    lost: int = 0
    began_with: str = ""


def keep(folder: Path, progress: TrainingProgress, groups: dict[str, dict[str, torch.Tensor]]) -> None:
    """Writes the checkpoint; the one before is there until this one is whole. groups: tensors by name, by group."""
    named = {
        f"{group}/{name}": tensor.detach().cpu().contiguous()
        for group, tensors in groups.items()
        for name, tensor in tensors.items()
    }
    part = folder / f"{FILE}.part"
    save_file(named, part, {"progress": json.dumps(asdict(progress))})
    os.replace(part, folder / FILE)


def read(folder: Path, recipe: str, seed: int) -> tuple[TrainingProgress, dict[str, dict[str, torch.Tensor]]] | None:
    """The checkpoint in a folder; None without one. `UsageError` for one of another training or a broken one."""
    path = folder / FILE
    if not path.exists():
        return None
    groups: dict[str, dict[str, torch.Tensor]] = {}
    try:
        with safe_open(path, "pt") as file:
            progress = TrainingProgress(**json.loads((file.metadata() or {})["progress"]))
            for name in file.keys():  # noqa: SIM118 - it is no dictionary
                group, _, rest = name.partition("/")
                groups.setdefault(group, {})[rest] = file.get_tensor(name)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no checkpoint ({error}); take it away, or train with --restart") from None
    if (progress.recipe, progress.seed) != (recipe, seed):
        raise UsageError(
            f"{path} is of {progress.recipe} with seed {progress.seed}; give that seed, another --work, or --restart"
        )
    return progress, groups
