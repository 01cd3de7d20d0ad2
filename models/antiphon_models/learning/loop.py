"""The training loop: Adam (Kingma and Ba 2015), a warm-up, cosine decay, and averaging of late weights."""

import copy
import math
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch

from antiphon.api import AntiphonError, UsageError
from antiphon_models.learning import checkpoint, curve
from antiphon_models.learning.checkpoint import Arrays
from antiphon_models.learning.rate import decay_factor
from antiphon_models.learning.recipe import Batch, Recipe, TrainingJob

# ---- State of a PyTorch optimizer as arrays for a checkpoint


def moments_of(optimizer: torch.optim.Optimizer) -> Arrays:
    """Copies of the optimizer's state, by "PARAMETER.NAME"."""
    return {
        f"{number}.{name}": np.array(torch.as_tensor(value).detach().cpu().numpy())
        for number, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def set_moments(optimizer: torch.optim.Optimizer, moments: Arrays) -> None:
    """Restores the state returned by `moments_of`."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in moments.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = torch.tensor(value)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


WARM_UP = 100
AVERAGE = 0.999
CLIP = 1.0
PRETRAINED_RATE = 0.4
"""Factor of the learning rate for pretrained weights."""
PREFETCHED_BATCHES = 4
"""Batches precomputed by `THREADS` threads, where the device is the CPU."""
THREADS = 2
LOGGED = 50
KEPT_SECONDS = 60.0
VALIDATIONS, MIN_APART = 40, 250
"""Number of validations in a training, and minimum steps between them."""
MAX_LOST = 20


class TrainingError(AntiphonError):
    """Error that ends a training."""


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Progress of a training.

    `seconds`: time trained so far. `lost`: batches skipped because their loss was not finite. `began_with`: checksum of
    the initial weights; "" for random ones. `best`: figures of the best validation, for a recipe that keeps the best
    weights.
    """

    recipe: str
    seed: int
    step: int
    seconds: float
    lost: int = 0
    began_with: str = ""
    best: Mapping[str, float] | None = None


def read_training_progress(
    folder: Path, recipe: str, seed: int
) -> tuple[TrainingProgress, dict[str, checkpoint.Arrays]] | None:
    """Checkpoint of a training, or None. Raises `UsageError`: it is damaged, or of another recipe or seed."""
    found = checkpoint.read(folder)
    if found is None:
        return None
    path = folder / checkpoint.FILE
    try:
        progress = TrainingProgress(**found[0])
    except TypeError as error:
        raise UsageError(f"{path} is no checkpoint ({error}); remove it, or train with --restart") from None
    if (progress.recipe, progress.seed) != (recipe, seed):
        raise UsageError(
            f"{path} is of {progress.recipe} with seed {progress.seed}; give that seed, another --work, or --restart"
        )
    return progress, found[1]


@dataclass(frozen=True, slots=True)
class Length:
    """Length of a training. `steps`: steps of its schedule; `minutes`: time limit; 0 for none."""

    steps: int
    minutes: float = 0.0

    def completed_share(self, step: int, seconds: float) -> float:
        """Completed share, 0 to 1."""
        by_time = seconds / (60.0 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(step / self.steps, by_time))


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The result of a training.

    `network`: has averaged weights: the last ones, or those of the best validation. `lost`: batches skipped because
    their loss was not finite. `figures`: validation figures of these weights. `complete`: whether it reached its end.
    """

    network: torch.nn.Module
    steps: int
    seconds: float
    lost: int
    figures: Mapping[str, float]
    complete: bool


class Trainer:
    """A training in a folder, with checkpoint, log and curve. An existing checkpoint is resumed."""

    def __init__(self, recipe: Recipe, job: TrainingJob, folder: Path, began_with: str = "") -> None:
        self._recipe, self._job, self._folder, self._began_with = recipe, job, folder, began_with
        torch.manual_seed(job.seed)
        self._network = recipe.network().to(job.device)
        torch.manual_seed(job.seed)
        self._average = recipe.network().to(job.device).eval().requires_grad_(False)
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=recipe.rate, betas=(0.9, 0.99))
        self._rate = recipe.rate * (PRETRAINED_RATE if job.further else 1.0)
        self._step, self._before, self._lost = 0, 0.0, 0
        self._best: Mapping[str, float] | None = None
        self._best_arrays: checkpoint.Arrays = {}
        saved = read_training_progress(folder, recipe.name, job.seed)
        if saved is not None:
            self._restore(*saved)

    @property
    def step(self) -> int:
        """Number of the next batch."""
        return self._step

    def begin(self, network: torch.nn.Module) -> None:
        """Initialises a training with the weights of `network` instead of random ones."""
        for own in (self._network, self._average):
            own.load_state_dict(network.state_dict())

    def run(self, length: Length, watch: Callable[[float, str], None]) -> TrainingResult:
        """Trains until finished or interrupted; if interrupted, `complete` is False, and the checkpoint can be resumed.

        `watch` is called every step with the share done, 0 to 1, and a short status text.

        Raises `TrainingError`: more than `MAX_LOST` batches had a non-finite loss.
        """
        log = curve.Log(self._folder / "log.csv", self._step)
        began, last_saved, every = time.monotonic(), time.monotonic(), max(MIN_APART, length.steps // VALIDATIONS)
        recent: deque[Mapping[str, float | torch.Tensor]] = deque(maxlen=LOGGED)
        figures: Mapping[str, float] = {}
        complete = False
        try:
            with self._batches() as batches, _stop_requests() as stop:
                while (done := length.completed_share(self._step, self._seconds(began))) < 1.0 and not stop:
                    self._learn(next(batches), done, recent)
                    self._step += 1
                    watch(done, f"step {self._step}")
                    if self._step % LOGGED == 0:
                        log.add(self._step, "train", _means(recent))
                    if self._step % every == 0:
                        figures = self.validate(log)
                    if time.monotonic() - last_saved > KEPT_SECONDS:
                        last_saved = time.monotonic()
                        self._keep(began)
            complete = not stop
            if complete:
                figures = self.validate(log)
        finally:
            log.close()
            self._keep(began)
            rows = curve.read(self._folder / "log.csv")
            (self._folder / "curve.svg").write_text(curve.draw(rows, f"{self._recipe.name}, seed {self._job.seed}"))
        network = self._average
        if complete and self._best is not None:
            # a copy: the checkpoint goes on from the last weights, not from the best
            network, figures = copy.deepcopy(self._average), self._best
            _fill(network, self._best_arrays)
        return TrainingResult(network, self._step, self._seconds(began), self._lost, figures, complete)

    def validate(self, log: curve.Log | None = None) -> Mapping[str, float]:
        """Validates the averaged weights, and returns the recipe's figures."""
        with torch.inference_mode():
            figures = self._recipe.validate(self._average)
        if log is not None:
            log.add(self._step, "valid", figures)
        if self._recipe.keeps_best and (self._best is None or _first(figures) > _first(self._best)):
            self._best, self._best_arrays = figures, _arrays_of(self._average)
        return figures

    def _learn(self, batch: Batch, done: float, recent: deque[Mapping[str, float | torch.Tensor]]) -> None:
        warm = min(1.0, (self._step + 1) / WARM_UP)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * warm * decay_factor(done)
        self._network.train()
        self._optimizer.zero_grad(set_to_none=True)
        # random numbers of a loss depend on seed and step alone, so that a resumed training draws the same
        torch.manual_seed(self._job.seed * 1_000_003 + self._step)
        loss, values = self._recipe.loss(self._network, batch)
        if not bool(torch.isfinite(loss)):
            self._lost += 1
            if self._lost > MAX_LOST:
                raise TrainingError(f"{self._lost} batches gave a loss that is not finite; lower the recipe's rate")
            return
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), CLIP)
        self._optimizer.step()
        recent.append({"loss": loss.detach(), **values})
        # early weights change fast: the average forgets them sooner
        keep = min(AVERAGE, (1.0 + self._step) / (10.0 + self._step))
        with torch.no_grad():
            for mean, now in zip(self._average.parameters(), self._network.parameters(), strict=True):
                mean.lerp_(now, 1.0 - keep)
            for held, fresh in zip(self._average.buffers(), self._network.buffers(), strict=True):
                held.copy_(fresh)

    @contextmanager
    def _batches(self) -> Iterator[Iterator[Batch]]:
        """Batches from the current step on: precomputed by threads on the CPU, sequential on a GPU."""
        recipe, first = self._recipe, self._step
        if self._job.device.type != "cpu":
            yield (recipe.batch(step) for step in range(first, 1 << 62))
            return
        pool = ThreadPoolExecutor(THREADS)
        steps = count(first)

        def ahead() -> Iterator[Batch]:
            waiting: deque[Future[Batch]] = deque(
                pool.submit(recipe.batch, next(steps)) for _ in range(PREFETCHED_BATCHES)
            )
            while True:
                batch = waiting.popleft().result()
                waiting.append(pool.submit(recipe.batch, next(steps)))
                yield batch

        try:
            yield ahead()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _seconds(self, began: float) -> float:
        return self._before + time.monotonic() - began

    def _keep(self, began: float) -> None:
        progress = TrainingProgress(
            self._recipe.name,
            self._job.seed,
            self._step,
            round(self._seconds(began), 1),
            self._lost,
            self._began_with,
            None if self._best is None else {name: float(value) for name, value in self._best.items()},
        )
        arrays = {
            "network": _arrays_of(self._network),
            "average": _arrays_of(self._average),
            "best": self._best_arrays,
            "moments": moments_of(self._optimizer),
        }
        checkpoint.keep(self._folder, asdict(progress), arrays)

    def _restore(self, progress: TrainingProgress, arrays: dict[str, checkpoint.Arrays]) -> None:
        try:
            for group, network in (("network", self._network), ("average", self._average)):
                _fill(network, arrays[group])
        except (KeyError, RuntimeError) as error:
            raise TrainingError(
                f"the checkpoint in {self._folder} is of another network ({str(error).splitlines()[0]}); use --restart"
            ) from None
        set_moments(self._optimizer, arrays.get("moments", {}))
        self._step, self._before, self._lost = progress.step, progress.seconds, progress.lost
        if self._recipe.keeps_best and arrays.get("best"):
            self._best, self._best_arrays = progress.best, arrays["best"]


def _arrays_of(network: torch.nn.Module) -> checkpoint.Arrays:
    """Copies of a network's weights and buffers, by name."""
    return {name: np.array(tensor.detach().cpu().numpy()) for name, tensor in network.state_dict().items()}


def _fill(network: torch.nn.Module, arrays: checkpoint.Arrays) -> None:
    network.load_state_dict({name: torch.tensor(value) for name, value in arrays.items()})


def _first(figures: Mapping[str, float]) -> float:
    """Main figure, higher is better; non-finite values are worst."""
    value = float(next(iter(figures.values()), -math.inf))
    return value if math.isfinite(value) else -math.inf


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Context with a list that receives Ctrl-C or SIGTERM, so that the loop ends between two steps."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _means(recent: deque[Mapping[str, float | torch.Tensor]]) -> dict[str, float]:
    names = dict.fromkeys(name for values in recent for name in values)
    means = {}
    for name in names:
        finite = [float(values[name]) for values in recent if name in values]
        finite = [value for value in finite if math.isfinite(value)]
        if finite:
            means[name] = sum(finite) / len(finite)
    return means
