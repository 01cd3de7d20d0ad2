"""A whole training: material, the loop, weights in a manifest that says how they came about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from antiphon.api import UsageError
from antiphon.api.files import make_folder
from antiphon.api.models import manifest_entry, write_weights
from antiphon.api.networks import fill_network
from antiphon_models.learning import checkpoint
from antiphon_models.learning.loop import Length, Trained, Trainer
from antiphon_models.learning.recipe import Recipe, TrainingJob

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What is asked of `antiphon train`. work: for material, checkpoint, log.  target: for the weights.  steps: 0 for
    the recipe's.  minutes: at most, 0 for no limit.  device: "cpu" or "cuda".  begin: a folder of models, with whose
    weights of the same name a fresh training begins.
    """

    name: str
    data: Path
    work: Path
    target: Path
    seed: int = 1
    steps: int = 0
    minutes: float = 0.0
    device: str = "cpu"
    only_material: bool = False
    restart: bool = False
    begin: Path | None = None


def make(factory: Callable[[], object], wish: TrainOptions, say: Say, watch: Callable[[float, str], None]) -> bool:
    """Trains, and writes the weights; False when it was stopped before the end. `UsageError` for what cannot be."""
    if wish.device not in ("cpu", "cuda") or (wish.device == "cuda" and not torch.cuda.is_available()):
        raise UsageError(f"training on {wish.device!r} cannot be had here; there is: cpu")
    recipe = factory()
    if not isinstance(recipe, Recipe):
        raise UsageError(f"the training {wish.name} is a {type(recipe).__name__}, not a Recipe; mend its plugin")
    folder = make_folder(wish.work / wish.name)
    material = make_folder(wish.work / (recipe.shares or wish.name) / f"material-{wish.seed}")
    began = ""
    if not wish.only_material:
        for old in (checkpoint.FILE, "log.csv") if wish.restart else ():
            (folder / old).unlink(missing_ok=True)
        began = _began(recipe, wish, folder)
    job = TrainingJob(wish.data, material, wish.seed, torch.device(wish.device), say, bool(began))
    recipe.prepare(job)
    if wish.only_material:
        say(f"the material of {wish.name} is in {material}")
        return True
    trainer = Trainer(recipe, job, folder, began)
    if trainer.step:
        say(f"goes on at step {trainer.step}")
    elif wish.begin is not None:
        trainer.begin(_given(recipe, wish.begin))
    trained = trainer.run(Length(wish.steps or recipe.steps, wish.minutes), watch)
    if not trained.complete:
        say(f"stopped after {trained.steps} steps; the same command goes on from there")
        return False
    _write(recipe, trained, wish, began, say)
    say(f"log and curve: {folder}")
    return True


def _began(recipe: Recipe, wish: TrainOptions, folder: Path) -> str:
    """The checksum of the weights that the training in a folder begins with, or has begun with; "" for none.

    `ModelError` where there are none, `UsageError` where it has begun with others.
    """
    before = checkpoint.read(folder, recipe.name, wish.seed)
    if wish.begin is None:
        return before[0].began_with if before is not None else ""
    wanted = str(manifest_entry(recipe.weights, wish.begin).get("sha256", ""))
    _given(recipe, wish.begin)
    if before is not None and before[0].began_with != wanted:
        raise UsageError(
            f"the training in {folder} has begun without these weights; leave --from out, or add --restart"
        )
    return wanted


def _given(recipe: Recipe, folder: Path) -> torch.nn.Module:
    """The recipe's network with the folder's weights. `ModelError` where they are missing or do not fit."""
    network = recipe.network()
    fill_network(network, type(network).__name__, recipe.weights, folder)
    return network


def _write(recipe: Recipe, trained: Trained, wish: TrainOptions, began: str, say: Say) -> None:
    arrays = recipe.arrays(trained.network)
    count = sum(array.size for array in arrays.values())
    minutes = round(trained.seconds / 60.0, 1)
    details = {
        "plugin": recipe.plugin,
        **recipe.said(),
        **({"began_with": began} if began else {}),
        "seed": wish.seed,
        "steps": trained.steps,
        "minutes": minutes,
        "device": wish.device,
        "parameters": count,
        "validation": {key: round(float(value), 4) for key, value in trained.figures.items()},
    }
    write_weights(recipe.weights, arrays, wish.target, details)
    figures = ", ".join(f"{key} {value:.3g}" for key, value in trained.figures.items())
    say(f"{recipe.weights} in {wish.target}: {count} parameters, {trained.steps} steps, {minutes} min; {figures}")
