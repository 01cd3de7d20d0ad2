"""Chords from a text, a file or the left hand; cadences of endings, and sevenths of a key."""

import math
from collections import deque
from collections.abc import Sequence

from antiphon_accompany.harmony.chords import Chord, triad_chord
from antiphon_accompany.harmony.chordtext import ChordSpan, spans_of

CHORDS_AHEAD = 4
"""Number of published coming chords."""
ENDING_BARS = 2
"""Bars of an ending: a dominant and a tonic."""
HISTORY_SIZE = 64
"""Maximum remembered chords of the left hand."""
ARPEGGIO_BEATS = 0.25
"""Maximum beats between keys of one arpeggiated chord."""


class GivenChords:
    """Chords of a text, looped, or of a file."""

    def __init__(self, text: str) -> None:
        # a bar of the text is one of the node's; its length follows `meter`
        self.text = spans_of(text, 1.0) if text.strip() else []  # the text's chords, in bars
        self.spans: Sequence[ChordSpan] = ()  # a file's chords, in beats; they come before all else

    def around(self, beat: float, meter: int, follow: str) -> Sequence[ChordSpan]:
        """Chords around a beat, in beats: a file's, or the text's of the present round and the next."""
        if self.spans or follow != "text" or not self.text:
            return self.spans
        length = math.ceil(self.text[-1].end - 1e-6)
        first = math.floor(beat / meter / length) * length
        return [
            ChordSpan((s.start + shift) * meter, (s.end + shift) * meter, s.chord)
            for shift in (first, first + length)
            for s in self.text
        ]

    def at(self, beat: float, meter: int, follow: str) -> tuple[Chord | None, list[Chord]] | None:
        """Chord at a beat and the next ones; None where none are given."""
        spans = self.around(beat, meter, follow)
        if not spans:
            return None
        now = next((s.chord for s in spans if s.start <= beat + 1e-6 < s.end), None)
        ahead: list[Chord] = []
        for span in spans:
            if span.start > beat + 1e-6 and span.chord and span.chord != (ahead[-1] if ahead else now):
                ahead.append(span.chord)
                if len(ahead) == CHORDS_AHEAD:
                    break
        return now, ahead


class Progression:
    """History of played chords, with prediction by repetition.

    `now`: the chord that was played last; None before the first.
    """

    def __init__(self) -> None:
        self._chords: deque[Chord] = deque(maxlen=HISTORY_SIZE)
        self.since = -math.inf  # the beat at which it was played

    @property
    def now(self) -> Chord | None:
        return self._chords[-1] if self._chords else None

    def add(self, chord: Chord, beat: float) -> None:
        """Adds a chord, replacing one that it completes key by key."""
        if self._chords and beat - self.since < ARPEGGIO_BEATS:
            self._chords.pop()
        if chord != self.now:
            self._chords.append(chord)
        self.since = beat

    def clear(self) -> None:
        self._chords.clear()

    def ahead(self) -> list[Chord]:
        """Predicted chords: those after the longest and latest matching passage; none without one."""
        played = list(self._chords)
        best, goes_on = 0, 0
        for end in range(len(played) - 1):
            alike = 0
            while alike <= end and played[end - alike] == played[-1 - alike]:
                alike += 1
            if alike and alike >= best:
                best, goes_on = alike, end + 1
        if best:
            for n in range(goes_on, goes_on + CHORDS_AHEAD):
                # a loop of fewer chords goes on in what has just been foretold
                played.append(played[n])
            return played[-CHORDS_AHEAD:]
        return []


def cadence(number: int, key: int) -> Chord:
    """Chord of a bar of an ending: the dominant, then the tonic."""
    return triad_chord(key) if number % ENDING_BARS else Chord((key + 7) % 12, "7", (key + 7) % 12)


def add_seventh(triad: int, key: int) -> Chord:
    """Triad with its diatonic seventh in a key; unchanged if not of the key."""
    degree = (triad - key) % 12
    minor = key >= 12
    sevenths = {0: "maj7", 5: "maj7", 7: "7", 14: "m7", 16: "m7", 21: "m7"}
    if minor:
        sevenths = {12: "m7", 17: "m7", 19: "m7", 7: "7", 3: "maj7", 8: "maj7", 10: "7"}
    kind = sevenths.get(triad // 12 * 12 + degree)
    return triad_chord(triad) if kind is None else Chord(triad % 12, kind, triad % 12)
