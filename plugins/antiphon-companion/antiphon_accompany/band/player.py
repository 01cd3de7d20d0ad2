"""Band player: selects strikes beat by beat, puts them on keys of the current chord, and tracks the sounding notes."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from antiphon.api import IO, Event
from antiphon.api.backends.synths import ChannelBends
from antiphon_accompany.band.parts import TOUCH
from antiphon_accompany.band.styles import LEFT_HAND_LANES, PARTS, PHRASE, Strike, Style, fit_to_meter, shipped_style
from antiphon_accompany.band.voicing import BASS_CENTRE, PartVoices, Placing, choose_bass_key, left_hand
from antiphon_accompany.harmony.chords import Chord

CLASHES = (1, 13)
"""Clashing intervals in semitones: a semitone, a minor ninth."""
MELODY_CLEARANCE = 3
"""Semitones left free below the melody."""
LOW_INTERVAL_LIMIT = 45
"""The lowest key, A2, to which a chord voice is moved below the melody. Close intervals below it sound muddy."""
MAX_MELODY_KEYS = 8
"""Maximum sounding keys treated as a melody, since more cannot all be avoided."""
TIMING_DEVIATION = {"piano": 9.0, "guitar": 9.0, "bass": 8.0, "drums": 7.0, "pad": 11.0}
"""Standard deviation of the onsets in ms, at humanise 0.5."""
MAX_TIMING_ERROR = 40.0
"""Maximum onset deviation from the grid in ms."""
MAX_CHORD_SPREAD = 2.5
"""Maximum spread of a chord's tones in ms, at humanise 0.5."""
RESTRIKE_GAP = 0.3
"""A part does not strike for a new chord if its pattern strikes within this number of beats."""
TOGETHER = 0.15
"""Keys within this number of beats are struck together, and follow the keys that sounded until then."""
VELOCITY_SPREAD = 0.22
"""Range of a velocity's variation at humanise 1."""
_TONES = ("voice1", "voice2", "voice3")
_WEIGHTS = (1.08, 1.0, 0.92)
"""Velocity factors on the first beat of a bar, on another beat and between beats."""
_WALK_INTERVALS = ("third", "fifth", "octave", "fifth")
"""Intervals of a walking bass between roots."""
_ROOTS = frozenset(("root", "octave"))
"""Lanes that play the bass note of a chord."""
_CALM = ("ballad", "arpeggio", "ballad", "pop")
_MOVING = ("pop", "ballad", "block", "pop")


class PendingStrike(NamedTuple):
    """A pending strike. start, end: beats of the clock.  key: of the drums, otherwise 0."""

    start: float
    part: str
    what: str
    velocity: float
    end: float


@dataclass(slots=True)
class BandSettings:
    """Performer's settings of the band, at a beat."""

    style: str = "auto"
    own: Style | None = None  # a style of the performer's in place of `style`
    density: float = 0.5
    intensity: float = 0.5
    complexity: float = 0.5
    register: int = 0
    humanise: float = 0.5
    seed: int = 1
    parts: tuple[str, ...] = ("piano",)
    levels: dict[str, float] = field(default_factory=dict)

    def read(self, io: IO, frame: int) -> None:
        """Reads the parameters' values at a frame."""
        self.style = str(io.at("style", frame))
        self.density = float(io.at("density", frame))
        self.intensity = float(io.at("intensity", frame))
        self.complexity = float(io.at("complexity", frame))
        self.register = int(io.at("register", frame))
        self.humanise = float(io.at("humanise", frame))
        self.seed = int(io.at("seed", frame))
        solo = any(io.at(f"{part}_solo", frame) for part in PARTS)
        for part in PARTS:
            silent = io.at(f"{part}_mute", frame) or (solo and not io.at(f"{part}_solo", frame))
            self.levels[part] = 0.0 if silent else float(io.at(f"{part}_level", frame))


class MelodyListener:
    """The melody's current state: sounding keys, loudness and register."""

    def __init__(self) -> None:
        self.sounding: dict[int, float] = {}
        self.reset()

    def reset(self) -> None:
        self.sounding.clear()
        self.loudness = 0.65
        self.lowest = 72.0
        self.last = float("-inf")
        self.playing = False

    def note_on(self, pitch: int, velocity: float, beat: float) -> None:
        self.sounding[pitch] = beat
        follow = 0.12 if self.playing else 1.0
        self.loudness += follow * (velocity - self.loudness)
        # low notes are made room for at once, high ones when they have lasted
        near = 1.0 if not self.playing else 0.5 if pitch < self.lowest else 0.06
        self.lowest += near * (pitch - self.lowest)
        self.playing, self.last = True, beat

    def move(self, pitch: int, to: int) -> None:
        """Handles the correction of a sounding note to another pitch."""
        if pitch in self.sounding and to not in self.sounding:
            self.sounding[to] = self.sounding.pop(pitch)

    def note_off(self, pitch: int, beat: float) -> None:
        if self.sounding.pop(pitch, None) is not None:
            self.last = beat


class Band:
    """Plays bars of a style on chords. `beat` is called once for each beat, in order."""

    def __init__(self) -> None:
        self.listener = MelodyListener()
        self.voices = {part: PartVoices() for part in PARTS if part != "drums"}
        self.reset()

    def reset(self) -> None:
        self.listener.reset()
        for voices in self.voices.values():
            voices.reset()
        self.bass = BASS_CENTRE
        self.style = shipped_style("ballad")
        self.rest()

    def rest(self) -> None:
        """Clears bar and chord, after a jump or stop of the clock."""
        self.bars: dict[str, list[Strike]] = {}
        # keys that were struck for this chord and the one before, with the beats of their start and end, and their lane
        self._sounded: dict[str, list[tuple[int, float, float, str]]] = {}
        self._former: dict[str, list[tuple[int, float, float, str]]] = {}
        self._bar: tuple[object, ...] = ()
        self.chord: Chord | None = None
        self.fresh = self._root_due = False

    def set_chord(self, chord: Chord, register: int = 0) -> None:
        """Moves all voices to a chord."""
        ceiling = round(self.listener.lowest) - MELODY_CLEARANCE
        # without a melody the right hand keeps to the middle
        ceiling = ceiling if self.listener.playing else 76
        low = self.style.parts["bass"].centre if "bass" in self.bars and "bass" in self.style.parts else BASS_CENTRE
        before, self.bass = self.bass, choose_bass_key(chord, self.bass, low + register)
        for part, voices in self.voices.items():
            if part in self.style.parts and part != "bass":
                given = self.style.parts[part]
                centre = given.centre + register
                basses, strict = (before, self.bass), given.voicing == "choir"
                voices.place(Placing(chord, given.voicing, centre, ceiling, basses, strict), self.move_below_melody)
        self.chord, self.fresh, self._root_due = chord, True, True
        self._former, self._sounded = self._sounded, {}

    def beat(
        self, beat: int, meter: int, tempo: float, section: str, number: int, asked: BandSettings
    ) -> list[PendingStrike]:
        """Strikes that begin within [beat, beat + 1), in order of time. Bars begin at multiples of `meter` beats.

        `tempo`: beats a minute. `section`: one of `styles.SECTIONS`. `number`: the bar's number in the section.
        """
        bar, place = divmod(beat, meter)
        key = (bar, meter, section, number, asked.parts)
        if key != self._bar:
            before = self.style
            if not self._bar or self._bar[0] != bar:
                self.style = asked.own or shipped_style(choose_style(asked, bar, meter, tempo, self.listener.loudness))
            if self.style is not before and self.chord is not None:
                self.set_chord(self.chord, asked.register)
            self._bar = key
            self._choose(bar, meter, tempo, section, number, asked)
        found = self._strikes_of_beat(beat, place, bar * meter, tempo, asked)
        self.fresh = False
        return found

    def _choose(self, bar: int, meter: int, tempo: float, section: str, number: int, asked: BandSettings) -> None:
        """Selects the strikes of a bar: those whose threshold is below the slightly randomised intensity."""
        level = 2.0 * asked.intensity + 2.0 * (asked.density - 0.5) + 0.2
        self.bars = {}
        for part in asked.parts:
            given = self.style.parts.get(part)
            if given is None:
                continue
            # drums keep to one beat up to the fill: whatever else they did would be heard as one
            since = bar - number if part == "drums" else bar
            chance = random.Random(f"{asked.seed} {since} {part} {section}")
            vary = (0.2 + 0.8 * asked.complexity) * (0.5 if part == "drums" else 1.0)
            # a slower beat has room for more
            room = 0.0 if part == "drums" else max(-0.5, min(0.7, -0.7 * math.log2(tempo / 100.0)))
            bars = given.sections[section]
            taken = []
            for strike in fit_to_meter(bars[number % len(bars)], self.style.meter, meter):
                if (
                    strike.what in LEFT_HAND_LANES
                    and part != "bass"
                    and "bass" in asked.parts
                    and self.style.parts.get("bass")
                ):
                    continue
                if strike.need - 0.9 <= level + room + vary * chance.uniform(-1.0, 1.0) or strike.need == 1:
                    taken.append(strike)
            self.bars[part] = taken

    def _strikes_of_beat(
        self, beat: int, place: int, first: int, tempo: float, asked: BandSettings
    ) -> list[PendingStrike]:
        found: list[PendingStrike] = []
        loud = self.listener.loudness * (0.8 + 0.4 * asked.intensity)
        per_ms = tempo / 60_000.0
        for part, strikes in self.bars.items():
            chance = random.Random(f"{asked.seed} {beat} {part} touch")
            given = self.style.parts[part]
            level = loud * TOUCH[part] * given.level * asked.levels.get(part, 1.0)
            for strike in strikes:
                if not place <= strike.at < place + 1:
                    continue
                start = first + strike.at
                late = chance.gauss(0.0, 2.0 * TIMING_DEVIATION[part] * asked.humanise)
                if strike.at == place:
                    # the beat's chord is decided on the beat: nothing of it can be early
                    late = abs(late)
                late = max(-MAX_TIMING_ERROR, min(MAX_TIMING_ERROR, late)) * per_ms
                touch = 1.0 + asked.humanise * 2.0 * chance.uniform(-VELOCITY_SPREAD, VELOCITY_SPREAD)
                weight = _WEIGHTS[0 if strike.at == 0 else 1 if strike.at == place else 2]
                velocity = min(1.0, max(0.05, level * strike.accent * weight * touch))
                when = max(float(beat), start + late)
                end = max(start + strike.length, when + 0.05)
                lane = strike.what
                if lane == "walk":
                    lane = "root" if self.fresh or place == 0 else chance.choice(_WALK_INTERVALS)
                for n, what in enumerate(_TONES if lane == "chord" else (lane,)):
                    roll = n * MAX_CHORD_SPREAD * 2.0 * asked.humanise * chance.random() * per_ms if n else 0.0
                    found.append(PendingStrike(when + roll, part, what, velocity, end))
        return sorted(found)

    def strikes_on_change(
        self, beat: int, found: Sequence[PendingStrike], again: set[str], going: bool, asked: BandSettings
    ) -> list[PendingStrike]:
        """Returns strikes on a new chord for parts that have none on this beat. `found`: the beat's strikes."""
        made: list[PendingStrike] = []
        for part in self.bars:
            if part == "drums" or part in again or any(d.part == part and d.start < beat + RESTRIKE_GAP for d in found):
                continue
            alone = part == "bass" or (part == "piano" and "bass" not in self.bars)
            lanes = (["root"] if alone else []) + (["voice2", "voice3"] if part != "bass" and going else [])
            loud = 0.9 * self.listener.loudness * TOUCH[part] * asked.levels.get(part, 1.0)
            made += [PendingStrike(float(beat), part, lane, max(0.05, min(1.0, loud)), beat + 1.0) for lane in lanes]
        return made

    def root_lane(self, due: PendingStrike, pending: Sequence[PendingStrike]) -> str:
        """Returns the lane to strike: the root, if the lowest part would begin a new chord without it."""
        lane = due.what
        if self._root_due and lane in LEFT_HAND_LANES and due.part == self._lowest:
            soon = {d.what for d in pending if d.part == due.part and d.start < due.start + RESTRIKE_GAP}
            if lane not in _ROOTS and not _ROOTS & soon:
                lane = "root"
            self._root_due = lane not in _ROOTS
        return lane

    @property
    def _lowest(self) -> str:
        return "bass" if "bass" in self.bars else "piano"

    def pitches(self, part: str, what: str) -> tuple[int, ...]:
        """Keys of a lane on the current chord."""
        if part == "drums":
            return (int(what),)
        if self.chord is None:
            return ()
        if what in LEFT_HAND_LANES:
            return (left_hand(self.chord, self.bass, what),)
        return self.voices[part].pitches(what)

    def keys_to_strike(
        self, part: str, what: str, due: PendingStrike, pending: Iterable[PendingStrike]
    ) -> Sequence[int]:
        """Returns the keys to strike, moved below the melody, without clashing ones and those that the melody holds.

        `due`: the strike. `pending`: the strikes to come.
        """
        if part == "drums":
            return self.pitches(part, what)
        right = what not in LEFT_HAND_LANES
        if right:
            soon = {d.what for d in pending if d.part == part and d.start < due.start + TOGETHER}
            lanes = {what, *soon.difference(LEFT_HAND_LANES)}
            # where a voice goes on, the others stay as they were chosen beside it
            goes_on = any(
                end > due.start + TOGETHER and lane not in lanes for *_, end, lane in self._former.get(part, ())
            )
            self.voices[part].settle(
                self.move_below_melody, self._left(part, due.start), () if goes_on else lanes, self._free
            )
        pitches = self.pitches(part, what)
        low = dict.fromkeys(map(self.move_below_melody, pitches))
        if right:
            for pitch in pitches:
                self.voices[part].strike(pitch, self.move_below_melody(pitch))
        found = [pitch for pitch in low if self._free(pitch)]
        kept = [one for one in self._sounded.get(part, ()) if one[2] > due.start - TOGETHER]
        self._sounded[part] = kept + [(pitch, due.start, due.end, what) for pitch in found]
        return found

    def _left(self, part: str, beat: float) -> list[int]:
        """Returns the keys of the bass and a part that sounded on the previous chord up to a beat, from below."""
        sounded = [one for name in {"bass", part} for one in self._former.get(name, ())]
        return sorted(key for key, start, end, _ in sounded if start < beat - TOGETHER < end)

    def _free(self, pitch: int) -> bool:
        return not (self.is_clashing(pitch) or self.is_taken(pitch))

    def move_below_melody(self, pitch: int) -> int:
        """Moves a key by octaves below the melody, and away from clashes; a melody in the bass is ignored."""
        sounding = self.listener.sounding
        top = max(sounding) if 0 < len(sounding) <= MAX_MELODY_KEYS else 127
        while (pitch > top or self.is_clashing(pitch) or self.is_taken(pitch)) and pitch - 12 >= LOW_INTERVAL_LIMIT:
            pitch -= 12
        return pitch

    def is_clashing(self, pitch: int) -> bool:
        """Whether the key clashes with a sounding note of the melody."""
        sounding = self.listener.sounding
        return len(sounding) <= MAX_MELODY_KEYS and any(abs(pitch - other) in CLASHES for other in sounding)

    def is_taken(self, pitch: int) -> bool:
        """Whether the melody holds the key."""
        return len(self.listener.sounding) <= MAX_MELODY_KEYS and pitch in self.listener.sounding


def choose_style(asked: BandSettings, bar: int, meter: int, tempo: float, loudness: float) -> str:
    """Requested style; `auto` chooses by meter, tempo and loudness, another for each phrase."""
    if asked.style != "auto":
        return asked.style
    if meter == 3:
        return "waltz"
    offered = _CALM if tempo < 90.0 and loudness < 0.9 else _MOVING
    return offered[random.Random(f"{asked.seed} {bar // PHRASE}").randrange(4)]


BEND_RANGE = 2
"""Semitones of a full pitch bend, as in MIDI."""
MAX_NOTES = 64
"""Maximum sounding notes; the oldest is ended to make room."""
RESTRIKE_SECONDS = 0.04
"""A part other than drums does not restrike a key within these seconds: two lanes may meet on the key."""
Key = tuple[int, int]
"""Channel and number of a note."""


class SoundingStrikes(dict[Key, PendingStrike]):
    """Sounding strikes, by channel and number, in the order in which they began."""

    @property
    def next_end_beat(self) -> float:
        """End beat of the next strike to end; infinite without any."""
        return min((due.end for due in self.values()), default=math.inf)

    def strike(self, io: IO, frame: int, due: PendingStrike, channel: int, pitches: Iterable[int]) -> None:
        """Begins the notes of a strike. A sounding note on the same key ends first, or continues if just begun."""
        for pitch in pitches:
            held = self.get((channel, pitch))
            near = held is not None and 0.0 <= due.start - held.start < RESTRIKE_SECONDS * io.time.tempo / 60.0
            if held is not None and near and due.part != "drums":
                self[channel, pitch] = held._replace(end=max(held.end, due.end))
                continue
            if held is not None:
                self.end(io, (channel, pitch), frame)
            elif len(self) >= MAX_NOTES:
                self.end(io, next(iter(self)), frame)
            io.emit(Event("on", frame, pitch, due.velocity, channel))
            self[channel, pitch] = due

    def end(self, io: IO, key: Key, frame: int) -> None:
        del self[key]
        io.emit(Event("off", frame, key[1], channel=key[0]))

    def end_due(self, io: IO, frame: int, beat: float) -> None:
        """Ends the notes that are due up to a beat."""
        for key in [key for key, due in self.items() if due.end <= beat]:
            self.end(io, key, frame)

    def end_all(self, io: IO, frame: int) -> None:
        for key in list(self):
            self.end(io, key, frame)


class PlayerBend:
    """The pitch bend of the player, in whole semitones."""

    def __init__(self) -> None:
        self._bent, self._bends = 0, ChannelBends()

    def reset(self) -> None:
        self._bent = 0
        self._bends.reset()

    def number(self, event: Event) -> int:
        """Number of an event's note including the present bend, 0 to 127."""
        return min(127, max(0, event.number + self._bent))

    def update(self, event: Event, sounding: Iterable[int]) -> int:
        """Follows a bend or bend range event. Returns the change of the sounding notes in semitones."""
        if not self._bends.follow(event, BEND_RANGE):
            return 0
        before, self._bent = self._bent, round(self._bends.semitones[event.channel])
        by = self._bent - before
        return by if all(0 <= pitch + by <= 127 for pitch in sounding) else 0
