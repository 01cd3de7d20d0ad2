"""Scales and chords by name, as semitones above the root."""

from __future__ import annotations

import re


def _rows(text: str) -> dict[str, tuple[int, ...]]:
    """A line each: semitones joined by spaces, then names."""
    found: dict[str, tuple[int, ...]] = {}
    for line in text.strip().splitlines():
        steps, names = line.split(":", 1)
        for name in names.split():
            found[name] = tuple(int(step) for step in steps.split())
    return found


CHORDS = _rows("""
0 4 7: major maj M
0 3 7: minor min m -
0 4 8: aug +
0 3 6: dim o
0 2 7: sus2
0 5 7: sus4 sus
0 7: five 5
0: one 1
0 4 7 9: six 6 major6 maj6 M6
0 3 7 9: m6 minor6 min6 -6
0 4 7 10: dom7 7
0 4 7 11: major7 maj7 M7 ^7 ^
0 3 7 10: minor7 min7 m7 -7
0 3 7 11: mmaj7 minorMajor7 mM7 m^7 -^7
0 3 6 9: dim7 o7
0 3 6 10: m7flat5 m7b5 -7b5 h7 h
0 5 7 10: 7sus4 7sus sevenSus4
0 2 7 10: 7sus2 sevenSus2
0 4 7 14: add9 major9no7
0 3 7 14: madd9 minoradd9 -add9
0 4 7 17: add11
0 3 7 17: madd11
0 2 4 7: add2 mu
0 4 5 7: add4
0 4 7 10 14: nine 9 dom9
0 4 7 11 14: major9 maj9 M9 ^9
0 3 7 10 14: minor9 min9 m9 -9
0 3 7 11 14: mmaj9 mM9 m^9 -^9
0 5 7 10 14: 9sus4 9sus nineSus4
0 4 7 9 14: sixNine 69 six9 6by9
0 3 7 9 14: m69 minorSixNine m6by9 -69
0 4 7 10 14 17: eleven 11 dom11
0 3 7 10 14 17: minor11 min11 m11 -11
0 4 7 11 14 17: major11 maj11 M11
0 4 7 10 14 17 21: thirteen 13 dom13
0 4 7 11 14 17 21: major13 maj13 M13 ^13
0 3 7 10 14 17 21: minor13 min13 m13 -13
0 5 7 10 14 21: 13sus4 13sus
0 4 8 10: plus7 7sharp5 7#5 aug7 7aug
0 4 6 10: 7flat5 7b5 sevenFlat5
0 4 8 11: major7sharp5 maj7#5 ^7#5 augMaj7
0 4 6 11: major7flat5 maj7b5 ^7b5
0 4 7 11 18: major7sharp11 maj7#11 ^7#11 lydian
0 4 7 10 13: sevenFlat9 7flat9 7b9
0 4 7 10 15: sevenSharp9 7sharp9 7#9
0 4 7 10 18: 7sharp11 7#11
0 4 7 10 20: 7flat13 7b13
0 4 8 10 13: sevenSharp5flat9 7sharp5flat9 7#5b9 7alt alt
0 4 8 10 15: 7sharp5sharp9 7#5#9
0 4 6 10 13: 7flat5flat9 7b5b9
0 4 6 10 15: 7flat5sharp9 7b5#9
0 4 7 10 14 18: 9sharp11 9#11
0 4 8 10 14: 9sharp5 nineSharp5 9#5 plus9
0 4 6 10 14: 9flat5 9b5
0 3 6 10 13: m7flat9 m7b5b9 m7sharp9 minor7flat9
0 3 8 10: m7sharp5 m7#5 minor7sharp5 -7#5
0 3 8: msharp5 m#5 minorSharp5 -#5
0 4 7 10 14 17 18: 11sharp elevenSharp
0 3 6 9 14: dim9
0 4 6: flat5 b5 majorFlat5
0 3 7 8: mb6 minorFlat6 -b6
0 4 7 10 13 21: 13flat9 13b9 thirteenFlat9
0 5 10: quartal fourths
0 7 14: quintal fifths
0 1 7: phryg sus2b sus24flat
0 5 7 14: sus4add9
0 2 5 7: sus24 sus2sus4
""")
"""By name, those of Tidal, and the suffixes of chord symbols."""

SCALES = _rows("""
0 2 4 5 7 9 11: major ionian
0 2 3 5 7 8 10: minor aeolian naturalMinor
0 2 3 5 7 9 10: dorian
0 1 3 5 7 8 10: phrygian
0 2 4 6 7 9 11: lydian
0 2 4 5 7 9 10: mixolydian
0 1 3 5 6 8 10: locrian
0 2 3 5 7 8 11: harmonicMinor
0 2 3 5 7 9 11: melodicMinor jazzMinor
0 2 4 5 7 8 11: harmonicMajor
0 2 4 5 7 8 10: melodicMajor mixolydianFlat6 aeolianDominant
0 2 4 7 9: majPent majorPentatonic pentatonic yu
0 3 5 7 10: minPent minorPentatonic
0 3 5 6 7 10: blues minorBlues
0 2 3 4 7 9: majorBlues
0 2 4 6 8 10: whole wholeTone wholetone messiaen1
0 1 2 3 4 5 6 7 8 9 10 11: chromatic
0 2 3 5 6 8 9 11: octatonic diminished diminished1 messiaen2
0 1 3 4 6 7 9 10: halfWhole diminished2 halfWholeDiminished
0 3 4 7 8 11: augmented hexatonic
0 1 4 5 8 9: augmented2
0 2 3 6 7 8 11: hungarianMinor
0 3 4 6 7 9 10: hungarianMajor
0 1 5 7 10: insen iwato2
0 2 3 7 8: hirajoshi
0 1 5 6 10: iwato
0 1 5 7 8: inScale sakura
0 2 5 7 9: ritusen scottish
0 2 5 7 10: egyptian shang suspendedPentatonic
0 3 5 8 10: jiao malkosRaga
0 2 4 7 8: majorFlat6Pentatonic
0 1 3 7 8: pelog balinese
0 1 3 6 7 8 11: todi
0 1 3 7 10: pelogMinor
0 2 4 7 10: prometheusScriabin dominantPentatonic
0 2 4 6 9 10: prometheus
0 1 4 5 6 8 11: persian
0 1 4 5 7 8 11: doubleHarmonic byzantine arabic bhairav
0 1 4 5 7 8 10: phrygianDominant spanish ahirbhairav2 freygish
0 1 4 6 7 9 11: marva
0 1 4 6 7 8 11: purvi
0 1 3 5 7 9 11: neapolitanMajor
0 1 3 5 7 8 11: neapolitanMinor
0 1 3 5 6 8 9: ultralocrian
0 1 3 4 6 8 10: superLocrian altered
0 1 3 5 6 9 10: locrian6 locrianNatural6
0 2 3 5 6 8 10: locrianMajor2 locrian2 halfDiminished
0 2 4 5 6 8 10: locrianMajor
0 2 4 6 8 9 11: lydianAugmented
0 2 4 6 7 9 10: lydianDominant acoustic overtone
0 2 3 6 7 9 11: lydianDiminished
0 2 4 6 7 8 10: lydianMinor
0 3 4 6 7 9 11: lydianSharp2
0 2 4 6 8 10 11: leadingWhole leadingWholeTone
0 1 4 6 8 10 11: enigmatic
0 2 3 6 7 9 10: romanianMinor ukrainianDorian dorianSharp4
0 1 3 5 7 9 10: dorianFlat2 phrygian6 javanese
0 2 4 5 6 9 10: mixolydianFlat5
0 1 4 5 7 9 10: mixolydianFlat2 ahirbhairav chakravakam
0 2 4 5 8 9 11: majorAugmented ionianAugmented
0 2 4 5 7 9 10 11: bebop bebopDominant
0 2 4 5 7 8 9 11: bebopMajor
0 2 3 4 5 7 9 10: bebopMinor bebopDorian
0 2 3 5 7 8 9 11: bebopMelodic
0 2 3 4 6 7 8 10 11: messiaen3
0 1 2 5 6 7 8 11: messiaen4
0 1 5 6 7 11: messiaen5
0 2 4 5 6 8 10 11: messiaen6
0 1 2 3 5 6 7 8 9 11: messiaen7
0 4 6 7 11: chinese
0 3 5 6 10: minorFlat5Pentatonic
0 2 3 7 9: kumoi
0 1 6 7 10: iwatoKumoi
0 2 4 6 7 11: raga
0 1 3 6 8 9: ritsu2
0 2 4 5 7 11: majorHexatonic
0 2 3 5 7 10: minorHexatonic
0 1 4 6 7 10: tritoneScale petrushka
0 1 2 6 7 8: twoSemitone
""")
"""By name, those of Tidal first; `found` takes other spellings too."""


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


_SCALES = {_folded(name): name for name in SCALES}


def scale_name(name: str) -> str:
    """The spelling in `SCALES` of a name written with spaces or underscores, as "harmonic minor"."""
    return name if name in SCALES else _SCALES.get(_folded(name), name)
