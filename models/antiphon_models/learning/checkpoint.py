"""The state of a training on disk, to resume it: a safetensors file with JSON as metadata; nothing is unpickled."""

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
    """Progress of a training.

    Attributes:
        recipe: The recipe's name.
        seed: Random seed of the training.
        step: Number of the next batch.
        seconds: Time trained so far.
        lost: Batches left out because their loss was not finite.
        began_with: Checksum of the weights that the training began with; "" for weights drawn at random.
    """

    recipe: str
    seed: int
    step: int
    seconds: float
    lost: int = 0
    began_with: str = ""


def keep(folder: Path, progress: TrainingProgress, groups: dict[str, dict[str, torch.Tensor]]) -> None:
    """Writes the checkpoint, which replaces the previous one once it is complete.

    Args:
        folder: The training's folder.
        progress: How far it has come.
        groups: By group ("network", "average", "moments") the tensors by name.
    """
    named = {
        f"{group}/{name}": tensor.detach().cpu().contiguous()
        for group, tensors in groups.items()
        for name, tensor in tensors.items()
    }
    part = folder / f"{FILE}.part"
    save_file(named, part, {"progress": json.dumps(asdict(progress))})
    os.replace(part, folder / FILE)


def read(folder: Path, recipe: str, seed: int) -> tuple[TrainingProgress, dict[str, dict[str, torch.Tensor]]] | None:
    """Reads the checkpoint in a folder.

    Returns:
        Progress and tensors by group and name; None without a checkpoint.

    Raises:
        UsageError: The file is damaged, or of another recipe or seed.
    """
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
        raise UsageError(f"{path} is no checkpoint ({error}); remove it, or train with --restart") from None
    if (progress.recipe, progress.seed) != (recipe, seed):
        raise UsageError(
            f"{path} is of {progress.recipe} with seed {progress.seed}; give that seed, another --work, or --restart"
        )
    return progress, groups
