"""`antiphon evaluate styles`: a forest that was taught styles by MMA's grooves names those of the band."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon_accompany.band.notes import BeatNote
from antiphon_models.accompany import mma, synthetic
from antiphon_models.accompany.band import shared_notes
from antiphon_models.accompany.evaluation import play
from antiphon_models.accompany.songs import AnnotatedSong
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, measures_of, systems_of

GROOVES: Mapping[str, str] = {
    "ballad": "Ballad PianoBallad StringBallad GuitarBallad FolkBallad 8BeatBallad1 8BeatBallad2 16BeatBallad1",
    "pop": "60sPop 80sPop 8BeatPop1 8BeatPop2 8BeatPop3 DancePop1 DancePop2 PopRock1 PopRock2",
    "arpeggio": "Arpeggio4 Arpeggio8 Arpeggio48 Arpeggio4Sus Arpeggio8Sus Arpeggio48Sus",
    "waltz": "Waltz FrenchWaltz VieneseWaltz CountryWaltz FastWaltz JazzWaltz BroadwayWaltz",
    "swing": "Swing Swing1 EasySwing FastSwing CountrySwing WesternSwing SlowSwing",
    "rock": "50sRock 60sRock BasicRock BubbleRock SoftRock FolkRock Rock1 Rock2",
    "bossa": "BossaNova BossaNovaSus BOSSA01 BOSSA02 JazzBossaA JazzBossaB",
    "house": "House LatinHouse Trance Trance1 Trance2 Techno TeamTechno",
    "reggae": "Ska Ska1 SkaSus SkaClap SKA01 SKA02 SKA03 SKA04",
    "funk": "BVFunk Funk1 Funk2 FUNK01 FUNK02 FUNK03 FUNK04 FUNK05",
    "chorale": "Hymn HymnRoot HymnWalk HymnRootWalk",
}
"""By our style, what MMA calls by that name; of reggae it has none but ska, and of the style `block` nothing."""
WINDOW = 4
"""Bars that are shown."""
SONGS = 2
GRID = 12
"""Places of a beat."""
_KICK, _SNARE, _CYMBALS = (35, 36), (37, 38, 39, 40), (42, 44, 46, 51, 53, 59)
_TREES = 400


class StyleNaming(Evaluation):
    """Each style on annotated chords drawn by seed, four bars at a time."""

    systems = systems_of(ours="accompany", oracle="mma, other grooves")
    measures = measures_of("named; shared ↓")
    note: ClassVar[str] = (
        "named: share of four bars that a random forest taught by MMA's grooves of 11 styles (chance .09) calls by "
        "their style; the oracle: MMA's own, by a forest that was taught without that groove. shared: notes (part, "
        "place, key) that each pair of our styles has in common on the same chords."
    )
    synthetic_doc: ClassVar[str] = "chords drawn by seed"
    card: ClassVar[str] = "antiphon_accompany"
    road: ClassVar[str] = "`antiphon run accompany IN.mid OUT.mid --chords FILE -p style=… -p parts=all`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Teaches the forest, then names grooves it was not taught, then ours."""
        rows, labels, grooves = _taught(ask)
        if not rows:
            raise UsageError("mma, which teaches the listener, is not installed: apt-get install mma")
        if ask.wants("mma, other grooves"):
            for style in GROOVES:
                names = [g for g, label in zip(grooves, labels, strict=True) if label == style]
                for groove in dict.fromkeys(names):
                    inside = np.array([g == groove for g in grooves])
                    forest = _forest(ask.seed).fit(np.array(rows)[~inside], np.array(labels)[~inside])
                    named = forest.predict(np.array(rows)[inside]) == style
                    yield MetricValue("mma, other grooves", "named", f"{style}: {groove}", float(named.mean()))
        if not ask.wants("accompany"):
            return
        forest = _forest(ask.seed).fit(np.array(rows), np.array(labels))
        for song in _songs(ask, 4):
            bands = {}
            for style in GROOVES:
                own = replace(song, meter=3) if style == "waltz" else song
                bands[style] = play(own, {"style": style, "parts": "all", "seed": ask.seed}, given=True)[0]
                named = forest.predict(windows(bands[style], own.meter)) == style
                yield MetricValue("accompany", "named", f"{song.name} {style}", float(named.mean()))
            for one, other in combinations(bands, 2):
                both = shared_notes(bands[one], bands[other])
                yield MetricValue("accompany", "shared", f"{song.name} {one}, {other}", both)


def _songs(ask: EvaluationRequest, meter: int) -> list[AnnotatedSong]:
    return [replace(song, meter=meter) for song in synthetic.songs(ask.seed, ask.limit or SONGS)]


def _forest(seed: int):  # type: ignore[no-untyped-def]
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(_TREES, min_samples_leaf=2, class_weight="balanced", random_state=seed, n_jobs=1)


def _taught(ask: EvaluationRequest) -> tuple[list[NDArray[np.float64]], list[str], list[str]]:
    """Windows of all grooves, their styles and their grooves."""
    rows: list[NDArray[np.float64]] = []
    labels, grooves = [], []
    for style, names in GROOVES.items():
        meter = 3 if style == "waltz" else 4
        for groove in names.split():
            for song in _songs(ask, meter)[:1]:
                for notes in mma.bands(song, (groove,)):
                    found = windows(notes, meter)
                    rows += found
                    labels += [style] * len(found)
                    grooves += [groove] * len(found)
    return rows, labels, grooves


def windows(notes: list[BeatNote], meter: int) -> list[NDArray[np.float64]]:
    """What is shown of each four bars: where each part strikes, how loud, how long, how many notes at once."""
    last = int(max(note.start for note in notes) // (WINDOW * meter))
    made = []
    for n in range(last):
        inside = [x for x in notes if n * WINDOW * meter <= x.start < (n + 1) * WINDOW * meter]
        if inside:
            made.append(_features(inside, meter))
    return made


def _features(notes: list[BeatNote], meter: int) -> NDArray[np.float64]:
    roles: dict[str, list[BeatNote]] = {name: [] for name in ("kick", "snare", "cymbals", "other", "bass", "chords")}
    for note in notes:
        role = note.part if note.part == "bass" else "chords"
        if note.part == "drums":
            drums = {"kick": _KICK, "snare": _SNARE, "cymbals": _CYMBALS}
            role = next((name for name, keys in drums.items() if note.pitch in keys), "other")
        roles[role].append(note)
    row: list[float] = [meter]
    for found in roles.values():
        # a quarter of a beat, and the swung eighth
        places = np.zeros((meter, 5))
        for start in {round(note.start * GRID) for note in found}:
            beat, place = divmod(start, GRID)
            slot = 4 if place in (7, 8) else round(place / 3) % 4
            places[beat % meter, slot] += 1.0 / WINDOW
        strikes = len({round(note.start * GRID) for note in found})
        row += [
            *places.sum(axis=0),
            *places[0],
            *places[meter // 2 if meter == 4 else 1],
            *places[-1],
            strikes / WINDOW,
            len(found) / max(1, strikes),
            float(np.mean([note.end - note.start for note in found])) if found else 0.0,
            float(np.mean([note.velocity for note in found])) if found else 0.0,
        ]
    return np.array(row)
