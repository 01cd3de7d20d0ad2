"""The analysis `genre`: sums of tags of recorded music, unknown for noise, speech and a voice alone."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from antiphon.api import F32, Samples
from antiphon.api.backends.analysis import AnalysisRun, Quantity
from antiphon.api.backends.models import ModelError
from antiphon_classify.instruments import EXCERPT, MEL, VOICE, Instruments
from antiphon_classify.labels import GENRES, UNKNOWN
from antiphon_classify.musicnn import (
    MusicnnAnalysis,
    MusicnnAnswers,
    MusicnnRun,
    PatchStream,
    answers,
    tag_probabilities,
)

MAX_GENRES = 3
"""Number of reported genres."""
MINIMA, ELECTRONIC_MINIMA = (0.25, 0.6), (0.35, 0.75)
"""Minimum probabilities of a genre, with a detected instrument and without (dense metal can hide its instruments: .67).
Rain, saws, surf, helicopters and a cock are electronic at .35 to .56; on 22 sounds other genres reach .42 at most."""
UNSPOKEN = 0.35
"""Minimum probability of a genre if there is a voice that does not speak."""
MAX_VOICE = 2.4
"""Ratio of MTT's voices to its instruments from which a voice is alone. Songs have 2.0 at most."""
VOICED, SPOKEN = 0.45, 0.1
"""Minimum probability of MTT's voices for a voice without instruments; minimum of MSD's hip hop for speech."""
HOUSE_THRESHOLD = 0.2
"""Minimum probability of MSD's tag at which electronic music is house."""
ELECTRONIC_FACTOR = 0.6
"""Factor on electronic music's probability relative to others: one of its fourteen tags fits most recordings, noise
included. In 11 electronic pieces of games no other genre has over half of its probability; in orchestral ones it has
.45 to .54 where classical has .37."""
DISCO_FACTOR = 2.0
"""Factor on the mean of disco's tags, which other genres share."""
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
"""Genres averaged over both networks, which have many tags of them; others use the more certain network."""
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
    """Genre analysis: the likeliest genre of eight excerpts, if probable enough."""

    version = 4
    rate: ClassVar[int | None] = MEL.rate
    quantities = (
        Quantity("genre", "text", doc='The most likely genre; "unknown" where none is, and of a voice alone.'),
        Quantity("genres", "labels", doc="The three most likely genres, each with the probability of its tags."),
        Quantity("content", "text", doc='"music", a "voice" alone, "speech", or "noise", where neither is found.'),
        Quantity("content_sure", "number", doc="How sure that is, 0 to 1."),
    )
    labels = GENRES

    def begin(self, rate: int, channels: int) -> AnalysisRun:
        return GenreRun(self, rate)

    def values(self, msd: MusicnnAnswers, mtt: MusicnnAnswers) -> Mapping[str, Any]:
        return self.genre_with_families(msd, mtt, set(Instruments().labels))

    def genre_with_families(self, msd: MusicnnAnswers, mtt: MusicnnAnswers, families: set[str]) -> Mapping[str, Any]:
        """Returns the quantities of a sound in which these instrument families were detected."""
        first, second = tag_probabilities((msd, mtt))
        found = probabilities(first, second)
        weighed = found | {"electronic": ELECTRONIC_FACTOR * found["electronic"]}
        order = sorted(GENRES, key=lambda name: -weighed[name])
        likely = found[order[0]]
        least, least_bare = ELECTRONIC_MINIMA if order[0] in ("electronic", "house") else MINIMA
        voices = _any(second, _VOICES)
        alone = voices >= MAX_VOICE * _any(second, _PLAYED) or not families - {VOICE}
        if voices >= VOICED and (alone or likely < UNSPOKEN) and first["Hip-Hop"] >= SPOKEN and likely < least_bare:
            content, sure = "speech", voices
        elif alone and likely < least_bare:
            content, sure = ("voice", voices) if voices >= VOICED else ("noise", 1.0 - voices)
        else:
            content, sure = "music", max(likely, 1.0 - voices)
        return {
            "genre": order[0] if likely >= least and content == "music" else UNKNOWN,
            "genres": [(name, found[name]) for name in order[:MAX_GENRES]],
            "content": content,
            "content_sure": sure,
        }


class GenreRun(MusicnnRun):
    """Genre run of one sound, with instrument detection: a sound without any is rarely music."""

    def __init__(self, analysis: Genre, rate: int) -> None:
        super().__init__(analysis, rate)
        self._genre, self._excerpts = analysis, PatchStream(rate, MEL, EXCERPT)

    def feed(self, block: Samples) -> None:
        super().feed(block)
        self._excerpts.push(np.asarray(block[0], np.float32))

    def values(self, patches: F32) -> Mapping[str, Any]:
        try:
            families = Instruments().families(self._excerpts.patches())
        except ModelError:  # its weights are missing
            return super().values(patches)
        return self._genre.genre_with_families(*answers(patches), families)


def probabilities(msd: Mapping[str, float], mtt: Mapping[str, float]) -> dict[str, float]:
    """Probability of each genre by the tags of both networks: that at least one of its tags holds."""
    found = {}
    for name in GENRES:
        both = [_any(row, table[name]) for row, table in ((msd, _MSD), (mtt, _MTT)) if name in table]
        found[name] = float(np.mean(both) if name in _AVERAGED else max(both, default=0.0))
    found["house"] = found["electronic"] if msd["House"] >= HOUSE_THRESHOLD else msd["House"]
    found["disco"] = min(1.0, DISCO_FACTOR * float(np.sqrt(np.prod([_any(msd, tags) for tags in _DISCO]))))
    return found


def _any(probability: Mapping[str, float], tags: Sequence[str]) -> float:
    """Probability that at least one of the tags holds, taken as independent."""
    return 1.0 - float(np.prod([1.0 - probability[tag] for tag in tags]))
