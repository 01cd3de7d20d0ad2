"""Level change of a file's sound, as a whole and in its pauses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from antiphon.kernel.contract.block import Samples

SEGMENT_SECONDS = 0.1
"""Length of a level segment in seconds."""
PAUSES, BELOW = 0.1, 6.0
"""Share of the quietest segments counted as pauses, and their minimum distance in dB below the whole."""
NOTABLE_DB = 3.0
"""Level change of the whole in dB that calls for advice on keeping more."""
_QUIET = 1e-10


class PieceLevels:
    """Mean power of each segment of a sound, independent of block boundaries."""

    def __init__(self, rate: int) -> None:
        self._frames = max(1, round(SEGMENT_SECONDS * rate))
        self._powers: list[float] = []
        self._sum, self._filled = 0.0, 0

    def passed(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        """Yields the blocks, and measures their levels."""
        for samples in blocks:
            power = np.mean(np.square(samples, dtype=np.float64), axis=0)
            while len(power):
                part = power[: self._frames - self._filled]
                self._sum += float(part.sum())
                self._filled += len(part)
                power = power[len(part) :]
                if self._filled == self._frames:
                    self._powers.append(self._sum / self._frames)
                    self._sum, self._filled = 0.0, 0
            yield samples

    def powers(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Powers of all segments, including the incomplete one."""
        rest = [self._sum / self._filled] if self._filled else []
        return np.array([*self._powers, *rest], np.float64)


def attenuation(before: PieceLevels, after: PieceLevels) -> tuple[float, float | None]:
    """Attenuation in dB of the whole and of the pauses; None without pauses."""
    given, left = before.powers(), after.powers()
    count = min(len(given), len(left))
    given, left = given[:count] + _QUIET, left[:count] + _QUIET
    if not count:
        return 0.0, None
    quiet = np.argsort(given, kind="stable")[: max(1, round(PAUSES * count))]
    there = _db(given[quiet].mean()) < _db(given.mean()) - BELOW and given[quiet].mean() > 2 * _QUIET
    pauses = _db(given[quiet].mean() / left[quiet].mean()) if there else None
    return _db(given.mean() / left.mean()), pauses


def _db(power: float) -> float:
    return float(10.0 * np.log10(power))


def attenuation_text(before: PieceLevels, after: PieceLevels, param: str) -> str:
    """Attenuation as text, for the closing line; `param`: the parameter that keeps more, if any."""
    whole, pauses = attenuation(before, after)
    said = f"took {max(0.0, whole):.1f} dB of the whole"
    if pauses is not None:
        said += f", {max(0.0, pauses):.0f} dB in pauses"
    return said if whole <= NOTABLE_DB or not param else f"{said}; to keep more of it: -p {param}=0.5"
