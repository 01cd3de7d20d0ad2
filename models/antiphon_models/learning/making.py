"""Complete training: material, loop, and weights with a manifest entry about their training."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from antiphon.api import UsageError
from antiphon.api.backends.files import make_folder
from antiphon.api.backends.models import manifest_entry, write_weights
from antiphon_models.learning import checkpoint
from antiphon_models.learning.loop import Length, Trainer, TrainingResult, read_training_progress
from antiphon_models.learning.recipe import Recipe, TrainingJob

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """The options of `antiphon train`.

    Attributes:
        steps: Number of steps; 0 for the recipe's.
        minutes: Time limit in minutes; 0 for none.
        device: "cpu" or "cuda".
        folder: The user's own sounds, or None; each folder of sounds has a separate work folder.
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
    folder: Path | None = None

    @property
    def folder_name(self) -> str:
        """Name of the work folder."""
        return self.name if self.folder is None else f"{self.name}-{slug(self.folder)}"


def slug(folder: Path) -> str:
    """Converts a folder's name to lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "own"


def make(factory: Callable[[], object], wish: TrainOptions, say: Say, watch: Callable[[float, str], None]) -> bool:
    """Trains, and writes the weights; False if it was interrupted before its end.

    `watch` is called every step with the share done, 0 to 1, and a few words.

    Raises `UsageError`: the device is not available, the factory gives no recipe, or a checkpoint is of other weights.
    """
    if wish.device not in ("cpu", "cuda") or (wish.device == "cuda" and not torch.cuda.is_available()):
        raise UsageError(f"training on {wish.device!r} is not available here; use cpu")
    recipe = factory()
    if not isinstance(recipe, Recipe):
        raise UsageError(f"the training {wish.name} is a {type(recipe).__name__}, not a Recipe; correct its plugin")
    if bool(recipe.takes) != (wish.folder is not None):
        say_what = f"name a folder of {recipe.takes}" if recipe.takes else "it takes no folder; leave it out"
        raise UsageError(f"antiphon train {wish.name}: {say_what}")
    if wish.folder is not None and not wish.folder.is_dir():
        raise UsageError(f"there is no folder {wish.folder}; name one of {recipe.takes}")
    folder = make_folder(wish.work / wish.folder_name)
    material = make_folder(wish.work / (recipe.shares or wish.folder_name) / f"material-{wish.seed}")
    began = ""
    if not wish.only_material:
        for old in (checkpoint.FILE, "log.csv") if wish.restart else ():
            (folder / old).unlink(missing_ok=True)
        began = _began(recipe, wish, folder)
    job = TrainingJob(wish.data, material, wish.seed, torch.device(wish.device), say, bool(began), wish.folder)
    recipe.prepare(job)
    if wish.only_material:
        say(f"the material of {wish.name} is in {material}")
        return True
    trainer = Trainer(recipe, job, folder, began)
    if trainer.step:
        say(f"goes on at step {trainer.step}")
    elif wish.begin is not None:
        trainer.begin(recipe.network_of(wish.begin))
    trained = trainer.run(Length(wish.steps or recipe.steps, wish.minutes), watch)
    if not trained.complete:
        say(f"stopped after {trained.steps} steps; the same command goes on from there")
        return False
    _write(recipe, trained, wish, began, say)
    say(f"log and curve: {folder}")
    return True


def _began(recipe: Recipe, wish: TrainOptions, folder: Path) -> str:
    """Checksum of the initial weights of a training in a folder; "" for none.

    Raises `ModelError`: the weights are missing. `UsageError`: the training began with others.
    """
    before = read_training_progress(folder, recipe.name, wish.seed)
    if wish.begin is None:
        return before[0].began_with if before is not None else ""
    wanted = str(manifest_entry(recipe.weights, wish.begin).get("sha256", ""))
    recipe.network_of(wish.begin)
    if before is not None and before[0].began_with != wanted:
        raise UsageError(
            f"the training in {folder} has begun without these weights; leave --from out, or add --restart"
        )
    return wanted


def _write(recipe: Recipe, trained: TrainingResult, wish: TrainOptions, began: str, say: Say) -> None:
    arrays = recipe.arrays(trained.network)
    count = sum(array.size for array in arrays.values())
    minutes = round(trained.seconds / 60.0, 1)
    details = {
        "plugin": recipe.plugin,
        **recipe.provenance(),
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
