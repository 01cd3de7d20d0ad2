"""Processor `sing`: notes in, a voice out that sings one syllable per note."""

import math
from bisect import insort
from typing import NamedTuple

import numpy as np

from antiphon.api import (
    AUDIO_OUT,
    EVENTS_IN,
    IO,
    PEDAL,
    Event,
    FileUse,
    Param,
    Processor,
    ProcessorPart,
    Samples,
    Step,
    StreamSpec,
)
from antiphon.api.backends.synths import ChannelBends, NoteShape, NoteShapes, pressure_gain
from antiphon.api.backends.transports import VALUES_BEGIN, value_place
from antiphon.api.backends.workers import current_pool
from antiphon.api.kernels import HopPlace, address
from antiphon_sing.kernels import (
    ROWS,
    SHAPES,
    TICK,
    VOICES,
    Mode,
    Shape,
    SingerState,
    VoiceRow,
    sing_out,
    sing_samples,
)
from antiphon_sing.song import TAPS, Place, SungText
from antiphon_sing.texts import Key, texts

# ---- Voices of a node: rows of numbers, and the songs whose frames they play

SOFT, HARD = 0.02, 0.004
"""Fade-in in seconds of a voice that begins with a vowel, and with a consonant."""
CROSSFADE_SECONDS = 0.025
"""Crossfade in seconds between two frames."""
LOWEST = 20.0
"""Cutoff of the high-passes in Hz: two octaves below the lowest voice, which loses .5 dB."""
MAX_SPEED_UP = 2.0
"""Maximum speed-up of consonants under time pressure."""


class NewNote(NamedTuple):
    """Parameters of a new note."""

    song: SungText
    place: Place
    level: float  # 0 to 1
    start: int  # sample at which it begins
    samples: int
    pace: float
    legato: bool
    pitch: float
    bend: float  # semitones
    pressure: float

    @property
    def length(self) -> int:
        """Length in samples of the end of the note's syllable."""
        return round((self.place.end - self.place.high) * self.song.hop * self.pace)


class SingingVoices:
    """Voice bank: sings syllables of songs at pitches, mixed to mono.

    `notes`: (channel, note) of each voice; None if it has ended or its key is released.
    """

    def __init__(self, rate: int, block: int) -> None:
        self.rate = rate
        self.real = np.zeros((VOICES, ROWS))  # numbers by voice, see `VoiceRow`
        self.shape = np.zeros(SHAPES)  # see `Shape`
        self.at = np.zeros(1, np.int64)
        ring, keep = np.zeros(round(4.0 * TAPS * rate) + block, np.float32), 1.0 / (1.0 + 2.0 * math.pi * LOWEST / rate)
        self.state = SingerState(ring, len(ring), self.real, self.shape, float(rate), self.at, keep, np.zeros(4))
        self.songs: list[SungText | None] = [None] * VOICES
        self.places: list[Place | None] = [None] * VOICES
        self.notes: list[tuple[int, int] | None] = [None] * VOICES
        self.begun = [-1] * VOICES  # sample at which each begins or began

    def reset(self) -> None:
        for array in (self.real, self.at, self.state.ring, self.state.high_pass):
            array.fill(0)
        for n in range(VOICES):
            self.songs[n] = self.places[n] = self.notes[n] = None
            self.begun[n] = -1

    def sounding(self, voice: int) -> bool:
        return bool(self.real[voice, VoiceRow.MODE] != Mode.OFF)

    def choose_voice(self, now: int) -> int:
        """Returns a finished voice, unless it still has to begin after the sample `now`; otherwise the oldest voice."""
        best, score = 0, None
        for n in range(VOICES):
            if not self.sounding(n) and self.notes[n] is None and self.begun[n] < now:
                return n
            rank = (self.notes[n] is not None, self.begun[n])
            if score is None or rank < score:
                best, score = n, rank
        return best

    def begin(self, voice: int, begun: NewNote) -> None:
        """Begins a syllable; consonants that do not fit are cut short."""
        row, song, place = self.real[voice], begun.song, begun.place
        row.fill(0.0)
        row[VoiceRow.PITCH] = row[VoiceRow.TARGET] = begun.pitch
        row[VoiceRow.GLIDE], row[VoiceRow.BEND], row[VoiceRow.PRESSURE] = 1.0, begun.bend, begun.pressure
        onset = (place.vowel - place.onset) * song.hop * begun.pace
        step = 1.0 / (song.hop * begun.pace)
        if 0 < begun.samples < onset:
            step *= min(MAX_SPEED_UP, onset / begun.samples)
        row[VoiceRow.MODE] = Mode.ONSET
        row[VoiceRow.STEP] = step
        row[VoiceRow.AT] = place.vowel - begun.samples * step
        row[VoiceRow.LOW], row[VoiceRow.HIGH], row[VoiceRow.END] = place.low, place.high, place.end
        row[VoiceRow.WANTED] = begun.level
        rise = CROSSFADE_SECONDS if begun.legato else SOFT if begun.samples * step < 1.0 else HARD
        row[VoiceRow.STEP_UP] = max(begun.level, 0.05) / (rise * self.rate)
        row[VoiceRow.SEED] = 1 + begun.start % 65536
        row[VoiceRow.TURN] = 0.999
        self.songs[voice], self.places[voice] = song, place
        row[VoiceRow.RESPONSES], row[VoiceRow.TAPS] = address(song.responses), song.responses.shape[1]
        row[VoiceRow.NOISES], row[VoiceRow.HOP] = address(song.noise), song.hop

    def tune(self, voice: int, pitch: float, seconds: float) -> None:
        """Glides to `pitch`; `seconds`: 90 % settling time, 0 for an immediate change."""
        row = self.real[voice]
        row[VoiceRow.TARGET] = pitch
        if seconds <= 0.0:
            row[VoiceRow.PITCH] = pitch
            row[VoiceRow.GLIDE] = 1.0
        else:
            row[VoiceRow.GLIDE] = 1.0 - 0.1 ** (TICK / (seconds * self.rate))

    def release(self, voice: int, samples: int, pace: float) -> None:
        """Sings the end of a syllable, in at most `samples`."""
        row = self.real[voice]
        song, place = self.songs[voice], self.places[voice]
        if song is None or place is None or row[VoiceRow.MODE] in (Mode.OFF, Mode.CODA):
            return
        own = (place.end - place.high) * song.hop * pace
        step = min(MAX_SPEED_UP, max(1.0, own / max(1, samples))) / (song.hop * pace)
        start = max(place.high, place.end - samples * step)
        row[VoiceRow.FROM], row[VoiceRow.FADE] = row[VoiceRow.AT], 1.0
        row[VoiceRow.FADING] = 1.0 / (CROSSFADE_SECONDS * self.rate)
        row[VoiceRow.AT], row[VoiceRow.STEP], row[VoiceRow.MODE] = start, step, Mode.CODA
        row[VoiceRow.STEP_UP] = max(row[VoiceRow.WANTED], 0.05) / (CROSSFADE_SECONDS * self.rate)

    def fade(self, voice: int, seconds: float = CROSSFADE_SECONDS) -> None:
        """Fades out a voice without the end of its syllable."""
        row = self.real[voice]
        row[VoiceRow.STEP_UP] = max(row[VoiceRow.LEVEL], 0.05) / (seconds * self.rate)
        row[VoiceRow.WANTED] = 0.0


POLYPHONY = 8
CHORD_SECONDS = 0.03
"""Maximum distance in seconds of the keys of a chord, which sings one syllable."""
SLUR = 0.06
"""Maximum wait in seconds of a held vowel for its next note."""
READY_SECONDS = 3.0
"""Maximum seconds `prepare` waits for the frames of a text."""
GLIDE_LEAD = 0.03
"""Seconds before the beat at which a pitch glide starts."""
MIN_VOWEL_SECONDS = 0.05
"""Minimum seconds of a vowel before its coda."""
ALL_OFF = (120, 123)
_DB = math.log(10.0) / 20.0


SYLLABLE = Param("syllable", "int", 0, 0, 4095, doc="The next note sings this one, from 0.")


class _ScheduledAction(NamedTuple):
    """A scheduled voice action.

    `do`: 0 begins a syllable, 1 ends it, in `value` samples, 2 fades, 3 glides to pitch `value`, 4 bends by `value`
    semitones, 5 sets the pressure gain `value`.
    """

    sample: int
    serial: int
    do: int
    voice: int
    serving: int
    value: float = 0.0


class UnreadyBlocks(ProcessorPart):
    """Blocks with notes whose text was not ready, from a session log, so that a replay omits the same notes."""

    def __init__(self) -> None:
        self.now = False

    def recall(self, kind: str, number: int) -> None:
        self.now = self.now or kind == "unready"


class Sing(Processor):
    """Sings lyrics.

    A process beside the server computes the frames when the text is set, in `prepare`; the previous node plays
    meanwhile. If that takes long, early notes are dropped and counted.
    """

    inputs = (EVENTS_IN,)
    outputs = (AUDIO_OUT,)
    split = True
    on_files = FileUse(job="antiphon_sing.jobs:run", idle=("syllable", "legato", "lead"))
    params = (
        SYLLABLE,
        Param("play", "trigger", False, doc="Sings a syllable: play syllable 3 note 60 velocity 90."),
        Param("lyrics", "text", "la", doc="Words; - in a word divides it, alone it holds the vowel; / ends a line."),
        Param("voice", "text", "auto", doc="auto, neural, espeak, or a voice of espeak-ng: de, en-us+f3."),
        Param("as", "text", "", doc="In files: the voice in which a recording is sung, as `voice`."),
        Param(
            "mix",
            "choice",
            "no",
            choices=("no", "voice", "song"),
            doc="With `as`: IN is a mix, its voice is found by `stems`; OUT is the new voice, or the song with it.",
        ),
        Param("size", default=1.0, low=0.7, high=1.4, doc="Formants; above 1 a smaller singer."),
        Param("breath", default=0.15, low=0.0, high=1.0, doc="Breath in the voice."),
        Param("vibrato", default=0.25, low=0.0, high=2.0, unit="semitones", doc="Depth of the vibrato."),
        Param("rate", default=5.5, low=2.0, high=9.0, unit="Hz", doc="Of the vibrato."),
        Param("delay", default=0.35, low=0.0, high=3.0, unit="s", doc="Of a vowel before its vibrato."),
        Param("consonants", default=3.0, low=-24.0, high=18.0, unit="dB", doc="Level of consonants."),
        Param("pace", default=1.0, low=0.5, high=2.0, doc="Length of consonants; below 1 shorter."),
        Param("portamento", default=0.04, low=0.0, high=1.0, unit="s", doc="From one pitch of a vowel to the next."),
        Param("robot", "switch", False, doc="Steps instead of glides, and no vibrato."),
        Param("legato", "choice", "slur", choices=("slur", "next"), doc="A key played while another is down."),
        Param("sensitivity", default=0.6, low=0.0, high=1.0, doc="Velocity sensitivity."),
        Param("bend", default=2.0, low=0.0, high=24.0, unit="semitones", doc="Pitch-bend range."),
        Param(
            "lead",
            default=100.0,
            low=0.0,
            high=500.0,
            unit="ms",
            restart=True,
            doc="A dated note's consonants come before it: by so much all sound is later; played ones come at once.",
        ),
        Param("level", default=0.0, low=-60.0, high=12.0, unit="dB", smooth=0.005, doc="Output level."),
        Param("next", "int", 0, 0, 4095, readonly=True, doc="The syllable of the next note."),
        Param("syllables", "int", 0, 0, 4095, readonly=True, doc="Syllables of the text."),
        Param("dropped", "int", 0, 0, 2**31 - 1, readonly=True, doc="Notes without a free voice, or a text."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate, self._place = spec.rate, HopPlace()
        self._voices = SingingVoices(spec.rate, spec.block)
        self._gain = np.zeros(spec.block, np.float32)
        self._lead = round(float(self.settings["lead"]) * spec.rate / 1000.0)
        self.latency = self._lead
        self._shapes = NoteShapes()
        self._down: dict[tuple[int, int], int] = {}
        self._bends, self._jumps = ChannelBends(), [-1] * 17
        self._due: list[_ScheduledAction] = []
        self._serving = [0] * VOICES
        self._vowels = [0] * VOICES
        self._aims = [0.0] * VOICES
        self._begun: list[NewNote | None] = [None] * VOICES
        self._song: SungText | None = None
        pool = current_pool()
        self._unready = UnreadyBlocks()
        self.parts = (self._unready,)
        self._key: Key = (str(self.settings["lyrics"]), str(self.settings["voice"]), spec.rate)
        self._late = False
        if pool is not None:  # the trial of a new node has none
            self._song = (
                texts().make(self._key) if pool.lockstep else texts().begin(self._key, pool.patience(READY_SECONDS))
            )
            self._late = self._song is None
        self.reset()

    def reset(self) -> None:
        self._voices.reset()
        self._place.clear()
        self._shapes.clear()
        self._bends.reset()
        self._down.clear()
        self._due.clear()
        self._serial = self._next = self._dropped = 0
        self._last = -self._rate
        self._chord = self._newest = -1
        self._jump = 0
        for n in range(17):
            self._jumps[n] = -1
        for n in range(VOICES):
            self._serving[n] = 0

    def process(self, io: IO) -> None:
        out = io.audio_out[0]
        if self._late:
            found = texts().get(self._key)
            self._song, self._late = found if isinstance(found, SungText) else None, found is None
        shape = self._voices.shape
        shape[Shape.SIZE] = io.value("size")
        shape[Shape.BREATH] = io.value("breath")
        shape[Shape.DEPTH] = io.value("vibrato")
        shape[Shape.RATE] = float(io.value("rate")) * TICK / self._rate
        shape[Shape.DELAY] = float(io.value("delay")) * self._rate
        shape[Shape.CONSONANTS] = math.exp(_DB * float(io.value("consonants")))
        shape[Shape.ROBOT] = float(io.value("robot"))
        jump = int(io.value("syllable"))
        if jump != self._jump:
            self._next, self._jump = jump, jump
        at = 0
        for event in io.events_in:
            at = self._advance(io, at, event.offset)
            self._event(io, event)
        self._advance(io, at, io.frames)
        sing_out(out, self._gains(io.curve("level"), self._gain[: io.frames]))
        self._place.begin(self._now + io.frames)
        self._place.until(*([-1] if self._late else [due.sample for due in self._due[:1]]))
        self._unready.now = False
        io.report("next", self._next)
        io.report("syllables", len(self._song.places) if self._song is not None else 0)
        io.report("dropped", self._dropped)

    def step(self, io: IO) -> Step:
        """Step of a block without notes, in which no voice begins, ends or glides anew."""
        out, voices = io.audio_out[0], self._voices
        gain = self._gains(np.full(io.frames, io.at("level", 0), np.float32), np.zeros(io.frames, np.float32))
        sung = sing_samples.step(voices.state, out, 0, io.frames).then(sing_out.step(out, gain))
        return sung.then(self._place.count(io.frames))

    @property
    def _now(self) -> int:
        return self._place.frames

    def _gains(self, level: Samples, out: Samples) -> Samples:
        """Writes the factors of levels in dB."""
        np.multiply(level, np.float32(_DB), out=out)
        return np.exp(out, out=out)

    def _advance(self, io: IO, at: int, frame: int) -> int:
        """Sings up to a frame, executing the actions due before it."""
        out, state = io.audio_out[0], self._voices.state
        while self._due and self._due[0].sample - self._now < frame:
            due = self._due.pop(0)
            to = max(at, due.sample - self._now)
            if to > at:
                sing_samples(state, out, at, to - at)
                at = to
            if due.serving == self._serving[due.voice]:
                self._do(io, due)
        if frame > at:
            sing_samples(state, out, at, frame - at)
        return max(at, frame)

    def _later(self, sample: int, do: int, voice: int, value: float = 0.0) -> None:
        self._serial += 1
        insort(self._due, _ScheduledAction(sample, self._serial, do, voice, self._serving[voice], value))

    def _cancel(self, voice: int, do: int) -> None:
        for n in range(len(self._due) - 1, -1, -1):
            if self._due[n].voice == voice and self._due[n].do == do:
                del self._due[n]

    def _do(self, io: IO, due: _ScheduledAction) -> None:
        voices = self._voices
        match due.do:
            case 0:
                begun = self._begun[due.voice]
                assert begun is not None
                voices.begin(due.voice, begun)
            case 1:
                voices.release(due.voice, int(due.value), float(io.value("pace")))
            case 2:
                voices.fade(due.voice, SLUR)
            case 3:
                voices.tune(due.voice, due.value, float(io.value("portamento")))
            case 4:
                voices.real[due.voice, VoiceRow.BEND] = due.value
            case 5:
                voices.real[due.voice, VoiceRow.PRESSURE] = due.value

    def _event(self, io: IO, event: Event) -> None:
        channel, key = event.channel, (event.channel, event.number)
        if event.kind in ("bend", "control") and self._bends.follow(event, float(io.at("bend", event.offset))):
            for n, note in enumerate(self._voices.notes):
                if note is not None and note[0] == channel:
                    self._change_voice(event, n, 4, self._bends.semitones[channel])
        match event.kind:
            case "on":
                self._on(io, event)
            case "off":
                self._off(key, event.offset, event.live)
            case "pitch" | "pressure":
                voice = self._down.get(key, -1)
                if voice < 0:
                    self._shapes.put(event.kind, event.number, channel, event.value)
                elif event.kind == "pitch":
                    self._change_voice(event, voice, 4, self._bends.semitones[channel] + event.value)
                else:
                    self._change_voice(event, voice, 5, pressure_gain(event.value))
            case "control":
                if event.number == VALUES_BEGIN:
                    self._jumps[channel] = -1
                elif value_place(event.number) == 0:
                    self._jumps[channel] = int(SYLLABLE.from_norm(event.value))
                elif event.number == PEDAL and event.value >= 0.5 and self._song is not None:
                    last = self._song.places[(self._next - 1) % len(self._song.places)]
                    self._next = next(n for n, place in enumerate(self._song.places) if place.line == last.line)
                elif event.number in ALL_OFF:
                    for down in [down for down in self._down if down[0] == channel]:
                        self._off(down, event.offset, event.live)

    def _change_voice(self, event: Event, voice: int, do: int, value: float) -> None:
        """Changes bend or pressure of a sounding voice; a scheduled change has the latency of a scheduled note."""
        if event.live or not self._lead:
            self._voices.real[voice, VoiceRow.BEND if do == 4 else VoiceRow.PRESSURE] = value
        else:
            self._later(self._now + event.offset + self._lead, do, voice, value)

    def _on(self, io: IO, event: Event) -> None:
        song, now, key = self._song, self._now + event.offset, (event.channel, event.number)
        if song is None or self._unready.now:
            self._dropped += 1
            io.mark("unready", event.number)
            return
        lead = 0 if event.live else self._lead
        self._off(key, event.offset, event.live)
        shape = self._shapes.take(event.number, event.channel)
        together = now - self._last <= CHORD_SECONDS * self._rate
        newest = self._newest
        if not together and self._down and io.value("legato") == "slur" and newest >= 0:
            self._slur(newest, key, now + lead)
            return
        self._last = now
        jump, self._jumps[event.channel] = self._jumps[event.channel], -1
        if jump >= 0:
            self._next = jump
        if not together:
            self._chord = self._next % len(song.places)
            self._next = (self._chord + 1) % len(song.places)
        place = song.places[self._chord]
        if place.held and not together and newest >= 0 and self._hold(newest, key, place, now, lead):
            return
        if len(self._down) >= POLYPHONY:
            oldest = min(self._down, key=lambda down: self._vowels[self._down[down]])
            self._off(oldest, event.offset, event.live)
            self._dropped += 1
        self._begin_syllable(io, event, song, place, together, shape)

    def _hold(self, newest: int, key: tuple[int, int], place: Place, now: int, lead: int) -> bool:
        """Continues the newest voice into a held syllable, if it still sounds; returns whether it does."""
        begun = self._begun[newest]
        sounds = self._voices.sounding(newest) or self._vowels[newest] > now
        if begun is None or not sounds or self._voices.notes[newest] not in (None, key):
            return False
        held = begun.place._replace(end=place.end)
        self._begun[newest] = begun._replace(place=held)
        self._voices.real[newest, VoiceRow.END] = place.end
        self._voices.places[newest] = held
        self._slur(newest, key, now + lead)
        return True

    def _begin_syllable(
        self, io: IO, event: Event, song: SungText, place: Place, together: bool, shape: NoteShape
    ) -> None:
        """Begins a syllable with a new voice."""
        now, key = self._now + event.offset, (event.channel, event.number)
        lead, newest = 0 if event.live else self._lead, self._newest
        voice = self._voices.choose_voice(now)
        self._serving[voice] += 1
        pace = float(io.value("pace"))
        onset = round((place.vowel - (place.sound if event.live else place.onset)) * song.hop * pace)
        start = max(now, now + lead - onset) if lead else now
        samples = now + lead - start if lead else onset
        sensitivity = float(io.value("sensitivity"))
        level = 1.0 - sensitivity + sensitivity * event.value**2
        legato = any(self._voices.sounding(n) for n in range(VOICES))
        pitch = float(event.number)
        if lead and legato and not together and newest >= 0 and self._begun[newest] is not None:
            # consonants before the beat are sung at the pitch before it
            pitch = self._aims[newest]
        bend = self._bends.semitones[event.channel] + shape.pitch
        self._begun[voice] = NewNote(
            song, place, level, start, samples, pace, legato, pitch, bend, pressure_gain(shape.pressure)
        )
        self._vowels[voice], self._voices.begun[voice] = start + samples, start
        self._voices.notes[voice], self._down[key] = key, voice
        if lead:
            self._make_room(voice, now, start)
        self._newest, self._aims[voice] = voice, float(event.number)
        self._later(start, 0, voice)
        if pitch != event.number:
            self._later(max(start, now + lead - round(GLIDE_LEAD * self._rate)), 3, voice, float(event.number))

    def _slur(self, voice: int, key: tuple[int, int], sample: int) -> None:
        for other in [other for other, held in self._down.items() if held == voice]:
            del self._down[other]
        self._cancel(voice, 1)
        self._cancel(voice, 2)
        self._voices.notes[voice], self._down[key] = key, voice
        self._aims[voice] = float(key[1])
        self._later(sample, 3, voice, float(key[1]))

    def _make_room(self, voice: int, now: int, start: int) -> None:
        """Shortens syllables that would still end at `start`, where another begins."""
        for n in range(len(self._due) - 1, -1, -1):
            due = self._due[n]
            if due.do == 1 and due.voice != voice and due.sample + due.value > start:
                del self._due[n]
                least = self._vowels[due.voice] + round(MIN_VOWEL_SECONDS * self._rate)
                begin = max(now, least, min(due.sample, start - round(due.value)))
                self._serial += 1
                insort(self._due, due._replace(sample=begin, serial=self._serial, value=max(1, start - begin)))

    def _off(self, key: tuple[int, int], offset: int, live: bool) -> None:
        voice = self._down.pop(key, -1)
        begun = self._begun[voice] if voice >= 0 else None
        if begun is None:
            return
        now, lead = self._now + offset, 0 if live else self._lead
        self._voices.notes[voice] = None
        least = self._vowels[voice] + round(MIN_VOWEL_SECONDS * self._rate)
        if voice == self._newest and begun.song.places[self._next % len(begun.song.places)].held:
            self._later(max(now + lead, least) + round(SLUR * self._rate), 2, voice)
            return
        own = begun.length
        start = max(now + lead - own if lead else now, now, least)
        self._later(start, 1, voice, max(1, now + lead - start) if lead else own)
