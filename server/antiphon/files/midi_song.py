"""Content of a MIDI file: tracks of notes and controllers in beats, and a tempo map."""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from antiphon.files import song_beats

DEFAULT_BPM = 120.0
"""Default tempo of a MIDI file."""
TICKS = 480
"""Ticks per beat of written files."""
Tempo = Sequence[tuple[float, float]]
"""Tempo map as (beat, bpm), in order, the first at beat 0."""


@dataclass(frozen=True, slots=True)
class MidiNote:
    """A note of a MIDI file."""

    start: float  # in beats (quarter notes) from the beginning
    length: float  # in beats
    number: int  # 0 to 127
    velocity: float = 0.8  # above 0 to 1
    channel: int = 1  # 1 to 16
    release: int = 64  # velocity of its end, 0 to 127

    @property
    def end(self) -> float:
        """End of the note in beats."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class MidiControlChange:
    """A controller, a pitch bend or a program change of a MIDI file."""

    at: float  # in beats from the beginning
    kind: str  # "control", "bend" or "program"
    number: int  # number of the controller or the program, 0 to 127
    value: float  # 0 to 1, or -1 to 1 for a bend; 0 for a program
    channel: int = 1  # 1 to 16


@dataclass(frozen=True, slots=True)
class MidiTrack:
    """A track of a MIDI file.

    `name`: its name, or "". `program`: the General MIDI instrument it begins with, 0 to 127, or None.
    """

    name: str = ""
    notes: tuple[MidiNote, ...] = ()
    program: int | None = None
    controls: tuple[MidiControlChange, ...] = ()


@dataclass(frozen=True, slots=True)
class MidiSong:
    """A MIDI file.

    `texts`: (beat, kind, text) of each of its lyrics, markers and texts, in order; kind as mido names it.
    """

    tracks: tuple[MidiTrack, ...]
    tempo: tuple[tuple[float, float], ...] = ((0.0, DEFAULT_BPM),)  # (beat, bpm) from there on, the first at beat 0
    ticks: int = TICKS  # ticks of a beat in the file
    length: float = 0.0  # beats to the end of its longest track
    signatures: tuple[tuple[float, int, int], ...] = ()  # (beat, upper, lower) of each time signature, in order
    texts: tuple[tuple[float, str, str], ...] = ()
    keys: tuple[tuple[float, str], ...] = ()  # (beat, name as "F#m") of each key signature, in order
    drums: frozenset[int] = frozenset({10})  # channels of rhythm parts, 1 to 16

    @property
    def meters(self) -> tuple[tuple[float, float], ...]:
        """Time signatures as (beat, beats per bar), in order; empty without any."""
        return tuple((at, 4.0 * upper / lower) for at, upper, lower in self.signatures)

    @property
    def has_no_bars(self) -> bool:
        """Whether its time signatures mean no bars; see `song_beats.is_barless`."""
        return song_beats.is_barless(self._uppers)

    @property
    def in_fours(self) -> bool:
        """Whether its bars may be of four quarter notes."""
        return song_beats.in_fours(self._uppers)

    @property
    def _uppers(self) -> list[tuple[int, int]]:
        return [(upper, lower) for _, upper, lower in self.signatures]

    def late(self, *, guess: bool = False) -> float | None:
        """`song_beats.beat_offset` of its pitched notes, or of all where these are few."""
        notes = [note for track in self.tracks for note in track.notes]
        pitched = [note for note in notes if note.channel not in self.drums]
        chosen = pitched if len(pitched) >= song_beats.FEW else notes
        rows = [(note.start, note.end, note.number) for note in chosen]
        return song_beats.beat_offset(rows, self._uppers, guess=guess)

    def seconds(self, beat: float) -> float:
        """Time in seconds of a beat, by the tempo map."""
        return Times(self.tempo).seconds(beat)


class Times:
    """Converts between beats and seconds by a tempo map, as in `MidiSong.tempo`."""

    def __init__(self, tempo: Tempo) -> None:
        """Computes the times of tempo changes. `tempo`: (beat, bpm), in order, the first at beat 0."""
        self._beats = [at for at, _ in tempo]
        self._bpm = [bpm for _, bpm in tempo]
        self._seconds = [0.0]
        for last, after, bpm in zip(self._beats, self._beats[1:], self._bpm, strict=False):
            self._seconds.append(self._seconds[-1] + (after - last) * 60.0 / bpm)

    def seconds(self, beat: float) -> float:
        """Converts a beat to a time."""
        place = max(0, bisect(self._beats, beat) - 1)
        return self._seconds[place] + (beat - self._beats[place]) * 60.0 / self._bpm[place]

    def beat(self, seconds: float) -> float:
        """Converts a time to a beat."""
        place = max(0, bisect(self._seconds, seconds) - 1)
        return self._beats[place] + (seconds - self._seconds[place]) * self._bpm[place] / 60.0
