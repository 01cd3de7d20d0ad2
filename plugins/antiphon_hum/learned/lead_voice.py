"""Follows the lead voice where several sound at once, as over a band.

The network was trained to give no notes there: with more of `MANY`, the probabilities of notes and onsets fall, while
the pitch of the strongest voice stays right (measured: 83 % of the hops of a voice 6 dB above a band). So their log
odds are raised again, by the log odds of several voices over the last half second.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import F32
from antiphon_hum.learned import spec

SMOOTH = 0.02
"""Share of a hop in the running mean of `MANY`: half a second."""
ALONE = 4.0
"""Negative log odds of several voices (.018) up to which one voice is taken to sound alone: singing has .02 at most."""
WEIGHTS = ((spec.NOTE, 1.0), (spec.ONSET, 0.6), (spec.FAR_NOTE, 1.0), (spec.FAR_ONSET, 0.1))
"""Places in an answer, and the share of the log odds of several voices that is added there.

Found on a grid of few values, on 8 songs over bands.
"""
_LEAST = 1e-6


class LeadVoice:
    """Answers as they would be for the strongest voice alone, hop by hop."""

    def __init__(self) -> None:
        self._answer: F32 = np.zeros(spec.ANSWER, np.float32)
        self.reset()

    def reset(self) -> None:
        self._many = 0.0

    def __call__(self, answer: F32) -> F32:
        """Takes an answer `[ANSWER]`; returns one, which is valid until the next call."""
        self._many += SMOOTH * (float(answer[spec.MANY]) - self._many)
        more = max(0.0, _log_odds(self._many) + ALONE)
        changed = self._answer
        changed[:] = answer
        for place, weight in WEIGHTS:
            changed[place] = 1.0 / (1.0 + math.exp(-_log_odds(float(answer[place])) - weight * more))
        return changed

    def all(self, answers: F32) -> F32:
        """The same of the answers `[hops, ANSWER]` of a whole sound."""
        self.reset()
        return np.array([self(answer).copy() for answer in answers], np.float32).reshape(answers.shape)


def _log_odds(chance: float) -> float:
    p = min(1.0 - _LEAST, max(_LEAST, chance))
    return math.log(p / (1.0 - p))
