"""Plans a batch at random: sounds, speeds, levels and noises."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from antiphon_models.denoise.training.sounds import RATE

Places = dict[str, list[tuple[int, int]]]
POINTS = 7
_CLEAN = {
    "song": 0.19,
    "solo": 0.15,
    "chorale": 0.04,
    "kit": 0.05,
    "voice": 0.16,
    "patch": 0.11,
    "mangled": 0.09,
    "loop": 0.07,
    "shot": 0.05,
    "track": 0.09,
}


class NOISES:
    """Probabilities of the kinds of noise, and harmonics of a hum."""

    harmonics: ClassVar[int] = 16
    shares: ClassVar[dict[str, float]] = {
        "clip": 0.56,
        "two": 0.09,
        "hiss": 0.13,
        "hum": 0.09,
        "babble": 0.05,
        "beating": 0.05,
        "clicks": 0.03,
    }


@dataclass(frozen=True, slots=True)
class Component:
    """An excerpt of the pool, played at `speed` from `phase` on and looped every `period` samples."""

    start: int
    size: int
    phase: float
    period: float
    speed: float
    gain: float


@dataclass(slots=True)
class MixturePlan:
    """One mixture. Curves: dB at `POINTS` frequencies; snr: dB; level: RMS of the clean sound, 1 is full scale."""

    clean: list[Component]
    noise: list[Component]
    colour: NDArray[np.float32]
    noise_colour: NDArray[np.float32]
    snr: float
    level: float
    room: tuple[float, float] = (0.0, 0.0)
    drive: float = 0.0
    tremolo: tuple[float, float] = (0.0, 0.0)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    silent: bool = False
    made: bool = False
    made_gain: float = 1.0
    band: tuple[float, float, float] = (0.0, 20.0, 20000.0)
    beat: tuple[float, float] = (1.0, 0.0)
    impulses: float = 0.0
    hum: float = 0.0
    hum_hiss: float = 0.0
    partials: NDArray[np.float32] = field(default_factory=lambda: np.zeros((NOISES.harmonics, 2), np.float32))
    known: tuple[float, float] = (-1.0, 0.0)
    """Time in seconds from which the noise is known (-1: never), and start of the learned noise within it."""


class MixturePlanner:
    """Chooses items from the ranges of a pool, for mixtures of `length` samples."""

    def __init__(self, places: Places, length: int, shares: Mapping[str, float] = _CLEAN) -> None:
        self._places, self._length, self._shares = places, length, shares

    def items(self, rng: np.random.Generator, count: int) -> list[MixturePlan]:
        return [self.item(rng) for _ in range(count)]

    def item(self, rng: np.random.Generator) -> MixturePlan:
        bent = rng.random() < 0.35
        made = MixturePlan(
            clean=self._clean(rng, bent),
            noise=[],
            colour=self._curve(rng, 9.0 if bent else 3.0, rng.random() < 0.6),
            noise_colour=self._curve(rng, 5.0, rng.random() < 0.5),
            snr=float(rng.uniform(-5, 25))
            if rng.random() < 0.6
            else float(rng.choice([0, 10, 20]) + rng.uniform(-2, 2)),
            level=float(10 ** (rng.uniform(-45, -12) / 20)),
        )
        draw = rng.random()
        if draw < 0.12:
            made.snr = float(rng.uniform(45, 70))
        elif draw < 0.15:
            made.silent, made.snr = True, 0.0
        if rng.random() < 0.25:
            made.room = (float(rng.uniform(0.15, 1.5)), float(rng.uniform(0.1, 0.9)))
        if rng.random() < 0.08:
            made.drive = float(10 ** rng.uniform(-0.5, 0.9))
        if bent and rng.random() < 0.15:
            made.tremolo = (float(rng.uniform(0.3, 8)), float(rng.uniform(0.2, 1)))
        if rng.random() < 0.25:
            made.gaps.append((0, int(rng.uniform(0.2, 0.9) * RATE)))
        if rng.random() < 0.2:
            at = int(rng.uniform(0.8, self._length / RATE - 0.8) * RATE)
            made.gaps.append((at, min(self._length, at + int(rng.uniform(0.3, 1.6) * RATE))))
        self._noise(rng, made)
        if rng.random() < 0.22:
            made.known = (0.0 if rng.random() < 0.7 else float(rng.uniform(0.5, 2.5)), float(rng.uniform(0.0, 3.0)))
        return made

    def _curve(self, rng: np.random.Generator, decibels: float, there: bool) -> NDArray[np.float32]:
        return (rng.uniform(-decibels, decibels, POINTS) * there).astype(np.float32)

    def _pick(self, rng: np.random.Generator, kind: str) -> tuple[int, int]:
        places = self._places[kind]
        return places[int(rng.integers(len(places)))]

    def _clean(self, rng: np.random.Generator, bent: bool) -> list[Component]:
        count = int(rng.choice([1, 2, 3], p=[0.7, 0.22, 0.08]))
        shares = np.array([*self._shares.values()])
        chosen = [str(kind) for kind in rng.choice(list(self._shares), count, p=shares / shares.sum())]
        parts = []
        for n, kind in enumerate(chosen):
            gain = 1.0 if n == 0 else float(10 ** (rng.uniform(-16, 3) / 20))
            speed = float(2 ** rng.uniform(-0.5, 0.5)) if bent else float(rng.uniform(0.94, 1.06))
            if kind == "shot":
                parts += self._pattern(rng, gain)
            else:
                parts.append(self._looped(rng, kind, speed, gain))
        return parts

    def _looped(self, rng: np.random.Generator, kind: str, speed: float, gain: float) -> Component:
        start, size = self._pick(rng, kind)
        return Component(start, size, float(rng.uniform(0, size)), float(size), speed, gain)

    def _pattern(self, rng: np.random.Generator, gain: float) -> list[Component]:
        """One to three one-shots, each repeated at its own period."""
        step = float(rng.uniform(0.1, 0.18)) * RATE
        parts = []
        for _ in range(int(rng.integers(1, 4))):
            start, size = self._pick(rng, "shot")
            period = step * float(rng.choice([2, 3, 4, 4, 8, 8, 16]))
            speed = float(2 ** rng.uniform(-0.4, 0.4))
            parts.append(Component(start, size, float(rng.integers(0, 16)) * step, period * speed, speed, gain))
        return parts

    def _noise(self, rng: np.random.Generator, item: MixturePlan) -> None:
        kind = str(rng.choice(list(NOISES.shares), p=np.array([*NOISES.shares.values()]) / sum(NOISES.shares.values())))
        if kind in ("clip", "two"):
            item.noise.append(self._looped(rng, "noise", float(2 ** rng.uniform(-0.3, 0.3)), 1.0))
        if kind == "two":
            gain = float(10 ** (rng.uniform(-14, 3) / 20))
            item.noise.append(self._looped(rng, "noise", float(2 ** rng.uniform(-0.3, 0.3)), gain))
        if kind == "babble":
            for _ in range(int(rng.integers(5, 9))):
                gain = float(10 ** (rng.uniform(-6, 3) / 20))
                item.noise.append(self._looped(rng, "voice", float(rng.uniform(0.85, 1.2)), gain))
        if kind in ("hiss", "hum", "beating", "clicks") or rng.random() < 0.06:
            item.made = True
            item.made_gain = 1.0 if not item.noise else float(10 ** (rng.uniform(-15, 3) / 20))
            item.band = (float(rng.choice([0.0, 0.5, 1.0, rng.uniform(0, 1)])), 20.0, 20000.0)
            if rng.random() < 0.35:
                low, high = np.sort(np.exp(rng.uniform(np.log(60), np.log(14000), 2)))
                item.band = (item.band[0], float(low), float(max(high, 1.3 * low)))
        if kind == "beating":
            item.beat = (float(rng.uniform(0.3, 9)), float(rng.uniform(0.5, 1.5)))
        if kind == "clicks":
            item.impulses = float(10 ** rng.uniform(0.0, 2.2))
        if kind == "hum":
            item.hum = float(rng.choice([50.0, 60.0]) * rng.uniform(0.997, 1.003))
            item.hum_hiss = float(10 ** (rng.uniform(-45, -8) / 20))
            orders = np.arange(1, NOISES.harmonics + 1)
            odd = np.where(orders % 2 == 1, 1.0, rng.uniform(0.05, 1.0))
            loud = odd * orders ** -rng.uniform(0.3, 1.6) * rng.uniform(0.2, 1.0, NOISES.harmonics)
            turns = rng.uniform(0, 2 * np.pi, NOISES.harmonics)
            item.partials = np.stack([loud, turns], 1).astype(np.float32)
            item.noise_colour = np.zeros(POINTS, np.float32)
