"""What a sound file is given at its end, as it is asked for; `finishing` does it. Imported without numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from antiphon.kernel.contract.block import Samples


class SoundTagger(Protocol):
    """Finds tags in the sound that is written."""

    def take(self, block: Samples) -> None:
        """Takes the next float32 `[channels, n]`."""
        ...

    def tags(self) -> Mapping[str, str]:
        """The tags, at the sound's end."""
        ...


@dataclass(frozen=True, slots=True)
class SoundFinish:
    """How a sound is finished.

    `rate`: Hz of the file, to which the sound is resampled; 0 for its own, or the nearest that the format holds.
    `tags`: texts by name, those of `id3.NAMES` and `FOUND`. `tagger`: makes what finds further tags, by rate and
    channels; None for none.
    """

    rate: int = 0
    limit: bool = False  # whether its true peak is held below -1 dB of full scale
    loudness: float | None = None  # LUFS that it is brought to; None leaves it
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tagger: Callable[[int, int], SoundTagger] | None = None


PLAIN = SoundFinish()
