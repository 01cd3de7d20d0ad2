"""What the analysis of loops is compared with: a rule, librosa's beat tracker, Krumhansl's key profiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from antiphon.kernel.signal.features import import_librosa
from antiphon_loops.rules import Rules
from antiphon_models.learning.user_commands import analysis_of
from antiphon_models.loops import corpus
from antiphon_models.loops.corpus import Known
from antiphon_models.material.krumhansl import key_of_sound


@dataclass(frozen=True, slots=True)
class Guess:
    """A system's answer for one loop; None where it has none.

    Attributes:
        bpm: Tempo.
        bars: Bars of four beats.
        key: As "A minor"; "" for a loop without one.
        family: "drums", "bass" or "harmonic".
        used: Whether the tempo is certain enough for the loop to be used; None where the system does not say.
    """

    bpm: float | None = None
    bars: int | None = None
    key: str | None = None
    family: str | None = None
    used: bool | None = None


Guesser: TypeAlias = Callable[[Known], Guess]


def ours(known: Known) -> Guess:
    """What `antiphon library analyse` prints; of what it takes for no loop, nothing that can be right."""
    values = analysis_of(known.samples, corpus.RATE, "loop")
    if values["no_loop"]:
        return Guess(0.0, 0, "none", "none")
    used = not 0.0 < values["loop_tempo_sure"] < Rules().tempo_sure
    key, family = values["loop_key"] or "", values["loop_instrument"]
    return Guess(values["loop_bpm"], round(values["loop_bars"]), key, family, used)


def guess_by_length(known: Known) -> Guess:
    """1, 2, 4, 8 or 16 bars, whichever is nearest to 110 bpm; C major."""
    seconds = known.samples.shape[1] / corpus.RATE
    bars = min((1, 2, 4, 8, 16), key=lambda n: abs(np.log2(240.0 * n / seconds / 110.0)))
    return Guess(240.0 * bars / seconds, bars, "C major", "harmonic")


def librosa_beats(known: Known) -> Guess:
    """librosa's beat tracker, as it comes."""
    librosa = import_librosa()
    mono = known.samples.mean(axis=0)
    tempo = librosa.beat.beat_track(y=mono, sr=corpus.RATE)[0]
    return Guess(float(np.atleast_1d(tempo)[0]))


def length_aware(known: Known) -> Guess:
    """The number of bars, 1, 2, 4, 8 or 16, whose tempo is nearest to that of librosa's beat tracker."""
    tracked = librosa_beats(known).bpm or 120.0
    seconds = known.samples.shape[1] / corpus.RATE
    bars = min((1, 2, 4, 8, 16), key=lambda n: abs(np.log2(240.0 * n / seconds / max(tracked, 1.0))))
    return Guess(240.0 * bars / seconds, bars)


def krumhansl(known: Known) -> Guess:
    """Krumhansl's profiles."""
    return Guess(key=key_of_sound(known.samples.mean(axis=0), corpus.RATE))


PEERS: dict[str, Guesser] = {"librosa beats": librosa_beats, "length-aware": length_aware, "Krumhansl": krumhansl}
"""Systems that need librosa."""


def marks(known: Known, guess: Guess) -> dict[str, float]:
    """1 for each right answer and 0 for each wrong one, by measure; the key of a loop without one is "keyless"."""
    out: dict[str, float] = {}
    if guess.bpm is not None:
        off = abs(guess.bpm / known.bpm - 1.0)
        out |= {"tempo": float(off <= 0.04), "exact": float(off <= 0.005)}
        if guess.used is not None:
            out["used"] = float(guess.used)
            if guess.used:
                out["tempo of used"] = out["tempo"]
    if guess.bars is not None:
        out["bars"] = float(guess.bars == known.bars)
    if guess.key is not None:
        out["key" if known.key else "keyless"] = float(guess.key == (known.key or ""))
    if guess.family is not None:
        out["family"] = float(guess.family == known.family)
    return out
