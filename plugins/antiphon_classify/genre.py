"""The analysis `genre`: sums of tags of recorded music, unknown for noise, speech and a voice alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from antiphon.api import F32, Samples
from antiphon.api.backends.analysis import AnalysisRun, Quantity
from antiphon.api.backends.models import ModelError
from antiphon_classify.instruments import EXCERPT, MEL, VOICE, Instruments
from antiphon_classify.labels import GENRES, UNKNOWN
from antiphon_classify.musicnn import (
    NETWORKS,
    MusicnnAnalysis,
    MusicnnAnswers,
    MusicnnRun,
    PatchStream,
    mean_probabilities,
    tags_of,
)

SHOWN = 3
"""Genres with their probabilities."""
LEAST, LEAST_BARE = 0.35, 0.75
"""Probability from which a genre is named: where an instrument is found, and where none is, as in rain and in speech.
Some metal is dense enough to hide its instruments."""
MOST_VOICE = 2.4
"""Times the voices of MTT over its instruments, from which a voice is alone. Songs have 2.0 at most."""
HOUSE = 0.2
"""Of MSD's tag, from which what is electronic is house."""
DISCO = 2.0
"""Times the mean of its tags, which are tags of other genres too."""
_MSD: Mapping[str, tuple[str, ...]] = {
    "rock": (
        "rock", "alternative", "alternative rock", "classic rock", "indie rock", "hard rock", "punk",
        "Progressive rock", "indie",
    ),
    "metal": ("metal", "heavy metal"),
    "pop": ("pop", "indie pop", "catchy"),
    "electronic": ("electronic", "electronica", "electro", "House", "dance", "ambient", "chillout"),
    "hip hop": ("Hip-Hop",),
    "jazz": ("jazz",),
    "blues": ("blues",),
    "folk": ("folk", "acoustic"),
    "country": ("country",),
    "funk/soul": ("funk", "soul", "rnb"),
}  # fmt: skip
_MTT: Mapping[str, tuple[str, ...]] = {
    "rock": ("rock",),
    "metal": ("metal",),
    "pop": ("pop",),
    "electronic": ("techno", "electronic", "ambient", "dance", "beats", "synth", "new age"),
    "classical": ("classical", "classic", "opera", "harpsichord", "choral", "choir", "violin", "cello", "strings"),
    "country": ("country",),
    "world": ("indian", "sitar"),
}
_AVERAGED = ("rock", "electronic")
"""Genres of which both networks have many tags; of others the network counts that is more certain."""
_DISCO = (("dance", "funk", "soul"), ("70s", "80s"))
_VOICES = (
    "vocal", "vocals", "voice", "singing", "female", "woman", "female vocal", "female voice", "male", "man",
    "male vocal", "male voice",
)  # fmt: skip
_PLAYED = (
    "guitar", "strings", "techno", "drums", "piano", "beat", "violin", "synth", "harpsichord", "flute", "sitar",
    "dance", "beats", "harp", "cello", "electronic",
)  # fmt: skip


class Genre(MusicnnAnalysis):
    """The likeliest genre of eight excerpts, where one is probable enough."""

    version = 2
    rate: ClassVar[int | None] = MEL.rate
    quantities = (
        Quantity("genre", "text", doc='The most likely genre; "unknown" where none is, and of a voice alone.'),
        Quantity("genres", "labels", doc="The three most likely genres, each with the probability of its tags."),
    )
    labels = GENRES

    def begin(self, rate: int, channels: int) -> AnalysisRun:
        return GenreRun(self, rate)

    def values(self, msd: MusicnnAnswers, mtt: MusicnnAnswers) -> Mapping[str, Any]:
        found = probabilities(mean_probabilities(msd), mean_probabilities(mtt))
        order = sorted(GENRES, key=lambda name: -found[name])
        alone = voice_share(mean_probabilities(mtt)) >= MOST_VOICE
        return {
            "genre": order[0] if found[order[0]] >= LEAST and not alone else UNKNOWN,
            "genres": [(name, found[name]) for name in order[:SHOWN]],
        }


class GenreRun(MusicnnRun):
    """One sound, in which instruments are sought too: what has none is rarely music."""

    def __init__(self, analysis: Genre, rate: int) -> None:
        super().__init__(analysis, rate)
        self._excerpts = PatchStream(rate, MEL, EXCERPT)

    def feed(self, block: Samples) -> None:
        super().feed(block)
        self._excerpts.push(np.asarray(block[0], np.float32))

    def result(self) -> Mapping[str, Any]:
        found = super().result()
        if found["genre"] in (None, UNKNOWN) or found["genres"][0][1] >= LEAST_BARE:
            return found
        try:
            families = Instruments().families(self._excerpts.patches())
        except ModelError:  # its weights are missing
            return found
        return found if families - {VOICE} else {**found, "genre": UNKNOWN}


def probabilities(msd: F32, mtt: F32) -> dict[str, float]:
    """The probability of each genre by those of both networks' tags, `[50]` each: that one of its tags holds."""
    first = dict(zip(tags_of(NETWORKS[0]), msd.tolist(), strict=True))
    second = dict(zip(tags_of(NETWORKS[1]), mtt.tolist(), strict=True))
    found = {}
    for name in GENRES:
        both = [_any(row, table[name]) for row, table in ((first, _MSD), (second, _MTT)) if name in table]
        found[name] = float(np.mean(both) if name in _AVERAGED else max(both, default=0.0))
    found["house"] = found["electronic"] if first["House"] >= HOUSE else first["House"]
    found["disco"] = min(1.0, DISCO * float(np.sqrt(np.prod([_any(first, tags) for tags in _DISCO]))))
    return found


def voice_share(mtt: F32) -> float:
    """How many times as likely MTT finds a voice as an instrument."""
    tags = dict(zip(tags_of(NETWORKS[1]), mtt.tolist(), strict=True))
    return _any(tags, _VOICES) / max(1e-3, _any(tags, _PLAYED))


def _any(probability: Mapping[str, float], tags: Sequence[str]) -> float:
    """That one of the tags holds at least, as if they were independent."""
    return 1.0 - float(np.prod([1.0 - probability[tag] for tag in tags]))
