"""Note values: the node's parameters at a note's start, and the note's own values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from antiphon.api import IO, Param, Value
from antiphon.api.backends.transports import VALUES_BEGIN, NoteWord, value_place
from antiphon_sampler.coloring import HIGHEST, LOWEST, MAX_Q, STEEPNESS, VOWELS
from antiphon_sampler.pads import FIRST
from antiphon_sampler.rows import VOICES

PARAMS = (
    Param("s", "text", "", doc="The folder of samples; empty, notes choose one (pads)."),
    Param("n", "int", 0, 0, 9999, doc="Which sample of it, from 0; above the last it begins again."),
    Param("speed", "float", 1.0, -16.0, 16.0, doc="Playback speed, which moves the pitch too; below 0 reverse."),
    Param("begin", default=0.0, low=0.0, high=1.0, doc="Where the part that is played begins, 1 is the end."),
    Param("end", default=1.0, low=0.0, high=1.0, doc="Where it ends."),
    Param("cut", "int", 0, 0, 64, doc="Choke group: a note ends the others of its group; 0 is none."),
    Param("attack", default=0.0, low=0.0, high=10.0, unit="s", doc="Fade-in."),
    Param("release", default=0.0, low=0.0, high=10.0, unit="s", doc="Fade-out before the end, and after note-off."),
    Param("pan", default=0.5, low=0.0, high=1.0, doc="0 left, 0.5 middle, 1 right."),
    Param("gain", default=1.0, low=0.0, high=4.0, doc="Factor of the note's level."),
    Param("slice", "choice", "off", choices=("off", "equal", "onsets"), doc="A note plays one slice of the sample."),
    Param("slices", "int", 16, 1, 128, doc="Number of equal slices."),
    Param("beats", default=0.0, low=0.0, high=256.0, unit="beats", doc="The part lasts so long by the clock; 0 off."),
    Param("stretch", "choice", "speed", choices=("speed", "onsets"), doc="By speed, or its onsets moved apart."),
    Param("loop", "switch", False, doc="Repeats it each time its beats are over, until note-off or its cut group."),
    Param("sustain", default=0.0, low=0.0, high=60.0, unit="s", doc="It fades out after so long; 0 at its end."),
    Param("accelerate", default=0.0, low=-16.0, high=16.0, doc="Change of the speed while it sounds, 1 to twice it."),
    Param("repeats", "int", 1, 1, 256, doc="The part is played so often, one after the other."),
    Param("lpf", default=HIGHEST, low=LOWEST, high=HIGHEST, unit="Hz", warp="log", doc="Low-pass; the highest off."),
    Param("resonance", default=0.0, low=0.0, high=1.0, doc="Resonance of the low-pass."),
    Param("hpf", default=LOWEST, low=LOWEST, high=HIGHEST, unit="Hz", warp="log", doc="High-pass; the lowest off."),
    Param("hresonance", default=0.0, low=0.0, high=1.0, doc="Resonance of the high-pass."),
    Param("bandf", default=LOWEST, low=LOWEST, high=HIGHEST, unit="Hz", warp="log", doc="Band-pass; the lowest off."),
    Param("bandq", default=10.0, low=1.0, high=MAX_Q, doc="Q of the band-pass: how narrow it is."),
    Param("shape", default=0.0, low=0.0, high=1.0, doc="Distortion."),
    Param("crush", default=0.0, low=0.0, high=24.0, unit="bits", doc="Bit depth (bitcrusher); 0 off."),
    Param("coarse", "float", 1.0, 1.0, 256.0, doc="Sample-rate reduction by this factor (sample and hold); 1 off."),
    Param("vowel", "choice", "off", choices=VOWELS, doc="Formants of a vowel."),
    Param("decay", default=0.0, low=0.0, high=10.0, unit="s", doc="To sustainlevel, after the attack; 0 off."),
    Param("sustainlevel", default=0.0, low=0.0, high=1.0, doc="Share of the level after decay."),
    Param("lpenv", default=0.0, low=-16.0, high=16.0, unit="octaves", doc="Sweep of the low-pass from lpf and back."),
    Param("lpattack", default=0.0, low=0.0, high=10.0, unit="s", doc="Rise of lpenv."),
    Param("lpdecay", default=0.1, low=0.0, high=10.0, unit="s", doc="Fall of lpenv."),
    Param("lpsustain", default=0.0, low=0.0, high=1.0, doc="Share of lpenv that stays."),
    Param("penv", default=0.0, low=-48.0, high=48.0, unit="semitones", doc="Pitch envelope, which ends at the pitch."),
    Param("pattack", default=0.0, low=0.0, high=10.0, unit="s", doc="Rise of penv."),
    Param("pdecay", default=0.1, low=0.0, high=10.0, unit="s", doc="Fall of penv."),
    Param("vib", default=0.0, low=0.0, high=50.0, unit="Hz", doc="Vibrato; 0 off."),
    Param("vibmod", default=0.5, low=0.0, high=24.0, unit="semitones", doc="Depth of the vibrato."),
    Param("fm", default=0.0, low=0.0, high=32.0, doc="Index of frequency modulation by a sine; 0 off."),
    Param("fmh", default=1.0, low=0.0, high=32.0, doc="Its frequency, as a factor of the note's."),
    Param("fmdecay", default=0.0, low=0.0, high=10.0, unit="s", doc="Fall of fm to fmsustain; 0 keeps it."),
    Param("fromend", "int", 0, 0, 9999, doc="Which sample of it from the end, 1 is the last; 0 takes n."),
    Param("lasts", default=0.0, low=0.0, high=256.0, unit="beats", doc="It fades out after so long; 0 at its end."),
    Param("ftype", "choice", "12db", choices=STEEPNESS, doc="Steepness of the low-pass; ladder is 24db."),
    Param("lprelease", default=0.0, low=0.0, high=10.0, unit="s", doc="Fall of lpenv after the note; 0 keeps it."),
    Param("fmattack", default=0.0, low=0.0, high=10.0, unit="s", doc="Rise of fm."),
    Param("fmsustain", default=0.0, low=0.0, high=1.0, doc="Share of fm that stays after fmdecay."),
)
"""Parameters that a note may override, in the order of their controllers."""
NODE_PARAMS = (
    Param(
        "library",
        "file",
        "",
        holds="a folder of sounds",
        doc="A folder of sounds of the library, as files, captures; empty for the shipped kit.",
    ),
    *PARAMS,
    Param("packs", "switch", False, restart=True, doc="Packs of `antiphon sounds add` play too, by their own names."),
    Param("play", "trigger", False, doc="Plays the sound that s and n name."),
    Param("pads", "choice", "names", choices=("names", "index", "pitch", "named"), doc="What a note's number chooses."),
    Param("base", "int", FIRST, 0, 127, doc="The note of the first pad or slice, or of the sample's own pitch."),
    Param("map", "text", "", doc="Notes by name, as 36=bd 38=sd:1 42=hh@1 46=oh@1; others are as pads has them."),
    Param("sensitivity", default=1.0, low=0.0, high=1.0, doc="Velocity sensitivity."),
    Param("linear", "switch", False, doc="Velocity is a factor of the level; off, the root of one."),
    Param("fonts", default=1.0, low=0.0, high=4.0, doc="Factor of the level of sounds whose name begins with gm_."),
    Param("gate", "switch", False, doc="A note-off ends the note; off, it plays to its end."),
    Param("bend", default=2.0, low=0.0, high=24.0, unit="semitones", doc="Pitch-bend range."),
    Param("voices", "int", VOICES, 1, VOICES, restart=True, doc="Polyphony; the oldest note fades out."),
    Param("level", default=0.0, low=-60.0, high=12.0, unit="dB", smooth=0.005, doc="Output level."),
    Param("files", "int", 0, 0, 1_000_000, readonly=True, doc="Sound files in the folder."),
    Param("loaded", "int", 0, 0, 1_000_000, readonly=True, doc="Files in memory."),
    Param("unreadable", "int", 0, 0, 1_000_000, readonly=True, doc="Files that cannot be played."),
    Param("missed", "int", 0, 0, 2**31 - 1, readonly=True, doc="Notes whose sample was not there (yet)."),
    Param("underruns", "int", 0, 0, 2**31 - 1, readonly=True, doc="Long samples cut off: read from disk too late."),
    Param("dropped", "int", 0, 0, 2**31 - 1, readonly=True, doc="Notes for which no voice was free."),
    Param("sounding", "int", 0, 0, VOICES, readonly=True, doc="Voices that sound now."),
)
"""Parameters of the node."""
GENERAL_MIDI = "gm_"
_KINDS = tuple(p.name for p in PARAMS)
WORD = _KINDS.index("s")


@dataclass(slots=True)
class NoteValues:
    """Parameter values of one note; the fields from `n` on are `PARAMS` without `s`."""

    row: int  # row of the listing that the note's own `s` names; -1 where it named none, -2 where there is no such
    meant: bool  # whether it has a number
    keyed: bool  # whether it is no message of values, and a note-off ends it
    n: int
    speed: float
    begin: float
    end: float
    cut: int
    attack: float
    release: float
    pan: float
    gain: float
    slice: str
    slices: int
    beats: float
    stretch: str
    loop: bool
    sustain: float
    accelerate: float
    repeats: int
    lpf: float
    resonance: float
    hpf: float
    hresonance: float
    bandf: float
    bandq: float
    shape: float
    crush: float
    coarse: float
    vowel: str
    decay: float
    sustainlevel: float
    lpenv: float
    lpattack: float
    lpdecay: float
    lpsustain: float
    penv: float
    pattack: float
    pdecay: float
    vib: float
    vibmod: float
    fm: float
    fmh: float
    fmdecay: float
    fromend: int
    lasts: float
    ftype: str
    lprelease: float
    fmattack: float
    fmsustain: float

    def shorten(self, tempo: float) -> None:
        """Limits `sustain` to the note's length in beats; `tempo`: in BPM."""
        if self.lasts > 0.0:
            seconds = self.lasts * 60.0 / tempo
            self.sustain = min(self.sustain, seconds) if self.sustain > 0.0 else seconds


class ChannelValues:
    """Note values pending for the next note of each channel. For the block path."""

    def __init__(self, rows: Mapping[str, int]) -> None:
        """Allocates the buffers. `rows`: the row of the listing by the word of `s`."""
        self._rows = {key: rows[word] for key, word in NoteWord.keys(rows)}
        self._fonts = frozenset(key for key, word in NoteWord.keys(rows) if word.startswith(GENERAL_MIDI))
        self._words = [NoteWord() for _ in range(17)]
        self._places = [[-1.0] * len(PARAMS) for _ in range(17)]
        self._begun = [0] * 17

    def reset(self) -> None:
        for channel in range(17):
            self._clear(channel)

    def _clear(self, channel: int) -> None:
        places = self._places[channel]
        for k in range(len(places)):
            places[k] = -1.0
        self._begun[channel] = 0
        self._words[channel].data = None

    def take(self, number: int, place: float, channel: int) -> bool:
        """Processes controller `number` at `place`, 0 to 1; returns False if it carries no note value."""
        if number == VALUES_BEGIN:
            self._clear(channel)
            self._begun[channel] = 2 if place > 0.0 else 1
            return True
        if NoteWord.place(number) == WORD:
            self._words[channel].take(number, place)
            return True
        at = value_place(number)
        if not 0 <= at < len(PARAMS):
            return False
        self._places[channel][at] = place
        return True

    def values(self, io: IO, frame: int, channel: int) -> NoteValues:
        """Values of a note starting at a frame of the block; pending ones are consumed."""
        places = self._places[channel]
        word = self._words[channel].data
        key = places[WORD] if word is None else word
        row = -1 if key == -1.0 else self._rows.get(key, -2)
        if row == -2 and isinstance(key, bytes):  # of a bank that is not there
            row = self._rows.get(key.rpartition(b"_")[2], -2)
        begun = self._begun[channel]
        values: list[Any] = [_value(io, frame, k, places[k]) for k in range(1, len(PARAMS))]
        self._clear(channel)
        found = NoteValues(row, begun != 1, begun == 0, *values)
        found.n = -found.fromend or found.n
        if key in self._fonts:
            found.gain *= float(io.at("fonts", frame))
        return found


def _value(io: IO, frame: int, k: int, place: float) -> Value:
    return PARAMS[k].from_norm(place) if place >= 0.0 else io.at(_KINDS[k], frame)
