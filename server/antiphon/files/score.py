"""A written score as it is played: repeats unfolded, ties joined, pitches as they sound."""

from bisect import bisect_right
from dataclasses import dataclass

from antiphon.files.midi_song import Tempo


@dataclass(frozen=True, slots=True)
class ScoreNote:
    """A note of a part."""

    start: float  # in quarters from the score's start; a grace note has that of the note that it leads to
    length: float  # in quarters; 0 for a grace note
    number: int  # as it sounds, 0 to 127
    measure: int  # place among `Score.measures`
    voice: str = "1"
    staff: int = 1
    syllable: str = ""  # of the verse that is sung this time, with a hyphen where its word goes on
    grace: bool = False
    fermata: bool = False
    drum: bool = False  # it is unpitched, and `number` General MIDI's
    ornaments: tuple[str, ...] = ()  # as MusicXML names them: "trill-mark", "mordent", "arpeggiate"

    @property
    def end(self) -> float:
        """End of the note in quarters."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class ScorePart:
    """A part of a score. `notes`: by their starts, grace notes before the note that they lead to, chords from below."""

    id: str
    name: str
    notes: tuple[ScoreNote, ...]
    transposition: int = 0  # semitones by which its first staff sounds above what is written, at the beginning
    program: int | None = None  # of General MIDI, 0 to 127


@dataclass(frozen=True, slots=True)
class ScoreMeasure:
    """A measure as it is played."""

    start: float  # in quarters from the score's start
    length: float  # in quarters
    name: str  # its number as it is printed
    written: int  # its place in the written score, from 0
    time: int  # how often it has been played by then, from 1
    meter: tuple[int, int] = (4, 4)  # time signature
    before: float = 0.0  # quarters that a pickup lacks at its beginning


@dataclass(frozen=True, slots=True)
class Score:
    """A score in the order in which it is played.

    All positions are in quarters from its start. `tempo`: (quarter, bpm of quarters), the first at 0. `words`:
    (quarter, text) of what stands at the staff: tempi and directions. `fermatas`: where one is, over notes or rests.
    """

    title: str
    parts: tuple[ScorePart, ...]
    measures: tuple[ScoreMeasure, ...]
    tempo: Tempo
    keys: tuple[tuple[float, int], ...] = ()  # (quarter, sharps, or flats below 0) of the first part as it sounds
    words: tuple[tuple[float, str], ...] = ()
    fermatas: tuple[float, ...] = ()

    @property
    def length(self) -> float:
        """Quarters to the end of the last measure."""
        return self.measures[-1].start + self.measures[-1].length if self.measures else 0.0

    def measure_at(self, quarter: float) -> int:
        """Place among `measures` of the one that sounds at a position; the first or last where none does."""
        return max(0, bisect_right(self.measures, quarter + 1e-6, key=lambda one: one.start) - 1)

    def beat_at(self, quarter: float) -> float:
        """Beat within its measure, from 1, by the lower number of the time signature; a pickup ends on its last."""
        one = self.measures[self.measure_at(quarter)]
        return 1.0 + (quarter - one.start + one.before) * one.meter[1] / 4.0
