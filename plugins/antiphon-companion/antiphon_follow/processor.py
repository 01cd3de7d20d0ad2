"""Node `follow`: the player's beat, from sound or notes, and a clock of the server that follows it.

Notes are tracked here, sound by a worker, hop by hop. While notes come, they lead, unless only the sound is sure.
With a score, the worker detects the notes in the sound.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from enum import IntEnum
from itertools import pairwise
from pathlib import Path

import numpy as np

from antiphon.api import (
    AUDIO_IN,
    IO,
    Event,
    FileUse,
    Param,
    Port,
    Processor,
    Samples,
    Step,
    StreamSpec,
    Value,
)
from antiphon.api.backends.workers import Rebuffer, WorkerClient, WorkerSpec, lead_for
from antiphon.api.kernels import f32p, f64, f64p, i64, kernel
from antiphon_follow.clock import (
    COAST,
    ENTRY_BEATS,
    LEAST,
    METER_NAMES,
    MOST,
    RANGE,
    SURE,
    BeatCounter,
    ChosenBeatEstimate,
    meters_of,
    range_of,
)
from antiphon_follow.concert import BEATS, NEXT, NOTES_SECONDS, ScorePlayer
from antiphon_follow.notes import FRAMES_PER_SECOND, NoteBeats
from antiphon_follow.score import MAX_BAR
from antiphon_follow.sound_notes import LATE, SoundNote
from antiphon_follow.worker import FIELDS, HOP, METER, MOST_NOTES, NOTE_FIELDS, PERIOD, PHASE, PLACE, SURENESS

STATES = ("waiting", "following", "coasting")
DRIVES = ("off", "beat", "tempo")
DOWNBEAT, BEAT, CLICK, VELOCITY = 76, 77, 0.05, 0.6
"""Note numbers of beats: high and low wood block of a General MIDI drum kit; their length in seconds, and velocity."""
QUIET_BEATS = 3.0
"""Beats without a note after which the counter coasts, as the filter is unreliable in silence."""
NEW_SECONDS = 8.0
"""Seconds of coasting after which a note starts tracking anew, and the clock takes the bar again."""
START_BEATS = 1.5
"""Beats of sure tracking before a waiting clock starts with the player's next bar."""
COUNT, UNEVEN_TAP = 4, 0.25
"""Taps that start a waiting clock, a beat after the last; relative deviation of their intervals from the mean."""
_EARLY_BLOCKS = 1.5
"""Blocks before a bar line within which a waiting clock starts, as the estimate changes from block to block."""
PASSED_BEATS = 0.2
"""Beats after a bar line within which a waiting clock still starts: a note may move the estimate over the line."""
_LEAST_CHANGE = 0.005
"""Minimum relative change of the tempo that `drive=tempo` applies."""
_MAX_MISSING = 100
_NEXT = tuple((f"next{n}", f"ahead{n}") for n in range(1, NEXT + 1))
_TAP_SECONDS = 2.5
MAX_PASS = 99
"""Maximum reported count of times that a bar is played."""


@kernel
def follow_ramp(y: f32p, frames: i64, beat: f64, step: f64, span: f64, known: f64) -> None:
    """y ← known times a ramp from 1 to 0 over each `span` beats."""
    for n in range(frames):
        at = (beat + step * f64(n)) / span
        y[n] = known * (1.0 - (at - f64(i64(at))))


class Coast(IntEnum):
    """Places of the numbers by which the count goes on alone."""

    RESTS = 0  # 1: nothing is followed, and `process` has nothing else to do
    PLAYING = 1
    SAMPLE = 2  # of the last block
    UNTIL = 3  # the sample at which the sounding note ends
    KNOWN = 4  # 1: there is a beat
    BEAT = 5
    PERIOD = 6  # infinite without a beat
    METER = 7
    ALONE = 8


@kernel
def follow_coasts(s: f64p, sample: i64, playing: i64, frames: i64, seconds: f64) -> i64:
    """1 if the count does not follow, and passes no beat in the block, else 0. `s`: see `Coast`."""
    rests = s[Coast.RESTS] != 0.0 and f64(playing) == s[Coast.PLAYING] and f64(sample + frames) <= s[Coast.UNTIL]
    passed = math.floor(s[Coast.BEAT] + seconds / s[Coast.PERIOD]) > math.floor(s[Coast.BEAT])
    return 1 if rests and not passed else 0


@kernel
def follow_coast(s: f64p, beats: f32p, bars: f32p, sample: i64, playing: i64, frames: i64, seconds: f64) -> None:
    """Plays a block for which `follow_coasts`: the ramps of beat and bar."""
    before = s[Coast.BEAT]
    s[Coast.BEAT] = before + seconds / s[Coast.PERIOD]
    step = (s[Coast.BEAT] - before) / f64(frames)
    follow_ramp(beats, frames, before, step, 1.0, s[Coast.KNOWN])
    follow_ramp(bars, frames, before, step, s[Coast.METER], s[Coast.KNOWN])
    if playing != 0:
        s[Coast.ALONE] += seconds
    s[Coast.SAMPLE] = f64(sample)


class SoundBeatEstimate:
    """Answer of the worker, in the fields of a filter's."""

    def __init__(self) -> None:
        self.phase, self.period, self.place, self.meter, self.sureness = 0.0, 0.5, 0, 4, 0.0

    def load(self, answer: Samples) -> None:
        beat = max(0.0, float(answer[PHASE]))
        self.period, self.meter = max(0.1, float(answer[PERIOD])), max(1, int(answer[METER]))
        self.place, self.phase = (int(answer[PLACE]) + math.floor(beat)) % self.meter, beat - math.floor(beat)
        self.sureness = float(answer[SURENESS])


class Follow(Processor):
    """Tracks the beat of sound and notes, emits it as control signals and notes, and can lead the server's clock."""

    on_files = FileUse("antiphon_follow.jobs:run", beside=("click",), changes=("time", "pitch"))
    inputs = (AUDIO_IN, Port("notes", "events", overhears=True))
    outputs = (
        Port("notes", "events", midi=BEATS),
        Port("beat", "control"),
        Port("bar", "control"),
        Port("parts", "events", midi=-BEATS),
    )
    params = (
        Param("on", "switch", True, doc="Whether it drives the clock; off, the clock keeps its own time."),
        Param("drive", "choice", "off", choices=DRIVES, doc="What the server's clock takes of the player's beat."),
        Param("waits", "switch", True, doc="Whether a patch with drive=beat stands until the player's first bar line."),
        Param(
            "lead",
            default=-1.0,
            low=-1.0,
            high=300.0,
            unit="ms",
            doc="Time by which the clock is ahead of the beat; -1: the output's latency, on files 0.",
        ),
        Param("late", default=0.0, low=0.0, high=300.0, unit="ms", doc="Time by which its notes come late."),
        Param("range", "text", RANGE, doc="Lowest and highest tempo, as 60-200 bpm."),
        Param("meter", "choice", "auto", choices=METER_NAMES, restart=True, doc="Beats of a bar; auto: 4 or 3."),
        Param("confidence", default=SURE, low=0.05, high=0.95, doc="Sureness from which it follows; below it coasts."),
        Param(
            "score",
            "file",
            "",
            holds="a MusicXML or MIDI file",
            doc="A MusicXML or MIDI file; follows its notes, and plays the other parts.",
        ),
        Param(
            "part",
            "text",
            "",
            doc="The player's parts of the score by names or numbers, as 1,2; live the first if none, on files all.",
        ),
        Param("from", "int", 1, low=0, high=MAX_BAR, doc="Printed bar of the score at which `start` begins."),
        Param("start", "trigger", doc="Goes to the bar `from`; where the player rests, the other parts count on."),
        Param("half", "trigger", doc="Beats half as fast."),
        Param("double", "trigger", doc="Beats twice as fast."),
        Param("downbeat", "trigger", doc="The nearest beat begins a bar."),
        Param("tap", "trigger", doc="Taps: the octave of the beat nearest to them; two between beats move it by half."),
        Param("tempo", default=0.0, low=0.0, high=400.0, unit="bpm", readonly=True, doc="0 while none is known."),
        Param("beat", "int", 0, low=0, high=64, readonly=True, doc="The beat of the bar, from 1; 0 if none is known."),
        Param("place", "int", 0, low=0, high=MAX_BAR, readonly=True, doc="The bar as printed; 0: not begun, a pickup."),
        Param(
            "pass", "int", 0, low=0, high=MAX_PASS, readonly=True, doc="The time that a repeated bar is played; or 0."
        ),
        *(
            param
            for note, ahead in _NEXT
            for param in (
                Param(note, "int", 0, low=0, high=127, readonly=True, doc="The player's next note; 0: none."),
                Param(ahead, default=0.0, low=0.0, high=999.0, readonly=True, doc="Beats until it comes."),
            )
        ),
        Param("sureness", default=0.0, readonly=True, doc="How sure it is of the beat, 0 to 1."),
        Param("state", "choice", STATES[0], choices=STATES, readonly=True, doc="Whether it follows, or goes on alone."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        """Allocates every buffer and opens the stream through the worker."""
        self._rate, text, meter = spec.rate, str(self.settings["range"]), str(self.settings["meter"])
        self._coast, self._block = np.zeros(len(Coast)), spec.block
        self._limits = limits = range_of(text)
        lead, score = max(1, lead_for(HOP, spec.block)), str(self.settings["score"])
        stepper, fields = ("NoteStepper", NOTE_FIELDS * MOST_NOTES) if score else ("FollowStepper", FIELDS)
        slots = 1 if score else 4  # a core plays few of a score's network
        worker = WorkerSpec.of_sound("follow", f"antiphon_follow.worker:{stepper}", spec, HOP, fields, slots)
        self._client = WorkerClient(worker, 1, lead, self.node, lambda: f"{text.replace(' ', '')} {meter}")
        self.parts = self._client.parts
        self._hops = Rebuffer(HOP, lead, spec.channels, 0, self._post, self._load)
        self._sent = np.zeros((1, spec.channels, HOP), np.float32)
        self._nothing: Samples = np.zeros((0, spec.block), np.float32)
        self._notes, self._sound = NoteBeats(*limits, meters_of(meter)), SoundBeatEstimate()
        self._answer = ChosenBeatEstimate(*limits)
        self._count = BeatCounter(SURE, *((LEAST, MOST) if score else limits))
        self._concert: ScorePlayer | None = None
        if score:
            late = LATE + (lead + 1) * HOP / spec.rate
            self._concert = ScorePlayer(Path(score), str(self.settings["part"]), spec.rate, late)
            bars = self._concert.numbers
            self.vocabulary = {"from": (str(min(bars)), str(max(bars)))}
        self._io: IO | None = None
        self._taps = deque[float](maxlen=COUNT)
        self._forget()

    def reset(self) -> None:
        """Resets all state; a sounding note ends with the next block."""
        self._hops.clear()
        self._client.reset()
        self._forget()

    def _forget(self) -> None:
        self._notes.clear()
        self._answer.clear()
        self._count.clear()
        self._sound.sureness = 0.0
        if self._concert is not None:
            self._concert.clear()
        self._begin, self._note_at, self._heard_at = -1, -1.0, 0.0
        self._led = True
        self._missing, self._until, self._tap_at = 0, -1, -10.0
        self._taps.clear()
        self._read = self._by_sound = False
        self._alone, self._entered, self._pulls = 0.0, False, False
        self._coast.fill(0.0)
        self._coast[Coast.SAMPLE] = -1.0
        self._played, self._recent = 0, False

    def awaits(self, values: Mapping[str, Value]) -> bool:
        """Whether the clock waits for the player; a score handles waiting itself."""
        return self._concert is None and values["drive"] == "beat" and bool(values["on"] and values["waits"])

    def process(self, io: IO) -> None:
        self._io = io
        if self._begin < 0:
            self._begin = io.time.sample
        self._catch_up()
        self._hops.begin(io.time.sample)
        sound = io.audio_in[0]
        first = 0
        while first < io.frames:
            last = min(io.frames, first + HOP - self._hops.fill)
            self._hops.run(io, sound[:, first:last], self._nothing[:, : last - first])
            first = last
        self._handle_beat_buttons(io)
        self._listen(io)
        count, before = self._count, self._count.beat
        count.confidence = float(io.value("confidence"))
        known, meter = count.known, count.meter
        count.advance(io.frames / self._rate, self._answer, 0.0)
        step = (count.beat - before) / io.frames if known and count.beat - before < 1.0 else 0.0
        follow_ramp(io.audio_out[0][0], io.frames, before, step, 1.0, float(known))
        follow_ramp(io.audio_out[1][0], io.frames, before, step, float(meter), float(known))
        self._beats(io, before, known=known)
        self._drive(io)
        io.report("tempo", 60.0 / count.period if count.known else 0.0)
        concert = self._concert
        place = math.floor(count.beat) % count.meter if concert is None else concert.place
        io.report("beat", place + 1.0 if count.known else 0.0)
        if concert is not None:
            io.report("place", float(concert.bar))
            io.report("pass", float(min(MAX_PASS, concert.turn)))
            for n, (note, ahead) in enumerate(_NEXT):
                io.report(note, float(concert.coming[n]))
                io.report(ahead, concert.ahead[n])
        io.report("sureness", self._answer.sureness)
        io.report("state", 0.0 if not count.known else 1.0 if count.following else 2.0)
        self._played = io.time.sample + io.frames
        self._coast[Coast.RESTS] = 0.0
        if count.following or self._recent or (not io.time.playing and len(self._taps) >= COUNT):
            return
        until, period = self._until if self._until >= 0 else math.inf, count.period if count.known else math.inf
        now = True, io.time.playing, io.time.sample, until, count.known
        self._coast[:] = *now, count.beat, period, count.meter, self._alone

    def step(self, io: IO) -> Step | None:
        """Step of a block within a hop, without a note, while the count does not follow, from beat to beat."""
        if self._concert is not None or (self._begin >= 0 and not self._coast[Coast.RESTS]):
            return None  # it is asked again after each block
        block = io.time.sample, io.time.playing, io.frames, io.frames / self._rate
        coast = follow_coast.step(self._coast, io.audio_out[0], io.audio_out[1], *block)
        hop = self._hops.step(io.audio_in[0], self._nothing)
        return hop.then(coast).provided(follow_coasts.step(self._coast, *block))

    def _catch_up(self) -> None:
        """Does what the blocks before left to be done, which machine code played."""
        last = int(self._coast[Coast.SAMPLE])
        if last < self._played:
            return
        self._count.beat, self._alone = float(self._coast[Coast.BEAT]), float(self._coast[Coast.ALONE])
        self._entered = self._entered and self._alone < NEW_SECONDS
        for at in range(self._played, last + 1, self._block) if self._note_at < 0.0 else ():
            self._notes.skip((at - self._begin) / self._rate)
            while self._notes.seconds + 1.0 / FRAMES_PER_SECOND <= (at + self._block - self._begin) / self._rate:
                self._notes.step()
        if self._note_at < 0.0 or self._sound.sureness > 0.0:
            self._answer.take(self._sound, (last + self._block - self._begin) / self._rate - self._heard_at)

    def _listen(self, io: IO) -> None:
        """Processes the block's notes, and chooses whether the counter follows notes or sound."""
        now = (io.time.sample + io.frames - self._begin) / self._rate
        start, notes, place = (io.time.sample - self._begin) / self._rate, self._notes, 0
        concert = self._concert
        if concert is not None:
            for offset in io.fired("start"):
                concert.go(int(io.at("from", offset)), start + offset / self._rate)
            concert.play(io, start, self._lead(io))
            concert.read(now)
            self._answer.take(concert)
            return
        events = io.events_in
        if self._note_at < 0.0 and not events:
            notes.skip(start)
        while (notes.seconds + 1.0 / FRAMES_PER_SECOND) <= now:
            end = notes.seconds + 1.0 / FRAMES_PER_SECOND
            while place < len(events) and start + events[place].offset / self._rate < end:
                place = self._note(start, events[place], place)
            notes.step()
            self._read = False
        while place < len(events):
            place = self._note(start, events[place], place)
        self._recent = recent = self._note_at >= 0.0 and now - self._note_at < NOTES_SECONDS
        if recent and not self._read:
            notes.filter.read()
            self._read = True
        if recent and not self._sound_leads(float(io.value("confidence"))):
            self._answer.take(notes.filter, now - notes.seconds + float(io.value("late")) / 1000.0)
            if now - self._note_at > QUIET_BEATS * self._answer.period:
                self._answer.sureness = 0.0
        elif self._note_at >= 0.0 and self._sound.sureness <= 0.0:
            self._answer.sureness = 0.0
        else:
            self._answer.take(self._sound, now - self._heard_at)

    def _sound_leads(self, confidence: float) -> bool:
        """Whether the sound leads although notes come: if it is sure of the beat and the notes are not."""
        now, other = self._notes.filter.sureness, self._sound.sureness
        if self._by_sound:
            now, other = other, now
        self._by_sound ^= now < COAST * confidence and other >= confidence
        return self._by_sound

    def _note(self, start: float, event: Event, place: int) -> int:
        if event.kind == "on" and event.value > 0.0:
            at = start + event.offset / self._rate
            self._note_at = at
            self._notes.note(at, event.number, event.value)
        return place + 1

    def _handle_beat_buttons(self, io: IO) -> None:
        answer = self._answer
        before = answer.octave, answer.moved
        if io.fired("half"):
            answer.halve()
        if io.fired("double"):
            answer.double()
        if downbeat := bool(io.fired("downbeat")):
            answer.begin_bar()
        for offset in io.fired("tap"):
            at = (io.time.sample - self._begin + offset) / self._rate
            since = at - self._tap_at
            if self._count.following:  # else there is no beat that it could be off
                answer.take_tap(since if since < _TAP_SECONDS else math.inf, (offset - io.frames) / self._rate)
            self._tap_at = at
            self._taps.append(at)
        if downbeat or (answer.octave, answer.moved) != before:
            self._entered = False
            self._count.correct()

    def _beats(self, io: IO, before: float, *, known: bool) -> None:
        """Notes of the whole beats that the count passes."""
        count, start = self._count, io.time.sample
        if 0 <= self._until < start + io.frames:
            self._end(io, max(0, self._until - start))
        if known and math.floor(count.beat) > math.floor(before):
            share = (math.floor(before) + 1.0 - before) / (count.beat - before)
            at = min(io.frames - 1, int(share * io.frames))
            if self._until >= 0:
                self._end(io, at)
            first = math.floor(count.beat) % count.meter == 0
            self._number = DOWNBEAT if first else BEAT
            io.emit(Event("on", at, self._number, VELOCITY * (1.25 if first else 1.0)))
            self._until = start + at + round(CLICK * self._rate)

    def _end(self, io: IO, offset: int) -> None:
        io.emit(Event("off", offset, self._number))
        self._until = -1

    def _lead(self, io: IO) -> float:
        """Returns the seconds by which the output is ahead of the player."""
        lead = float(io.value("lead"))
        return lead / 1000.0 if lead >= 0.0 else io.time.latency / self._rate

    def _drive(self, io: IO) -> None:
        """Steers the server's clock."""
        count, drive = self._count, str(io.value("drive"))
        seconds = io.frames / self._rate
        low, high = self._limits if self._concert is None else (LEAST, MOST)
        tempo = min(max(60.0 / count.period, low), high)
        led = drive != "off" and bool(io.value("on"))
        if not io.time.playing:
            self._entered = self._pulls = False
            self._wait(io, tempo, led=led and drive == "beat")
            return
        if self._pulls and not (led and count.following):
            io.steer(tempo)  # without what caught up
            self._pulls = False
        if not count.following:
            self._alone += seconds
            self._entered = self._entered and self._alone < NEW_SECONDS
            return
        self._alone = 0.0
        if not led:
            self._entered = False
            return
        if drive == "tempo":
            turn = -round(math.log2(tempo / io.time.tempo))
            while not low <= tempo * 2.0**turn <= high:
                turn -= 1 if turn > 0 else -1
            tempo *= 2.0**turn
            if abs(tempo / io.time.tempo - 1.0) > _LEAST_CHANGE:
                io.steer(tempo)
            return
        if count.sure < ENTRY_BEATS and not self._entered:
            return
        here = io.time.beat + io.frames * io.time.beats_per_frame(self._rate)
        ahead = count.beat + self._lead(io) / count.period - here
        self._pulls = True
        if not self._entered:
            self._entered = True
            skip = (ahead + 0.5) % count.meter - 0.5
            io.steer(tempo, min(skip, 0.0), max(skip, 0.0))
            return
        ahead = (ahead + 0.5) % 1.0 - 0.5
        # half of it: the clock is as much faster as twice what is ahead, and stays in the range
        io.steer(tempo, min(max(ahead, (low / tempo - 1.0) / 2.0), (high / tempo - 1.0) / 2.0))

    def _wait(self, io: IO, tempo: float, *, led: bool) -> None:
        """Starts a waiting clock: at the player's bar line, or after four taps."""
        count, answer, own = self._count, self._answer, io.time.tempo
        before, self._led = self._led, led
        if not led:
            if before:
                io.steer(own)
            return
        line = math.ceil(io.time.beat / answer.meter - 1e-6) * answer.meter - io.time.beat
        left = -(answer.place + answer.phase + self._lead(io) / answer.period) % answer.meter
        now = (io.time.sample + io.frames - self._begin) / self._rate
        if count.following and count.sure >= START_BEATS:
            left -= answer.meter * (left > answer.meter - PASSED_BEATS)
            due = left < _EARLY_BLOCKS * io.frames / self._rate / answer.period
            if due and not self._notes.contradict(answer.period, answer.phase, now):
                count.correct()
                io.steer(tempo, 0.0, line - left)
        elif (beat := self._counted_in()) and now + self._lead(io) >= self._taps[-1] + beat:
            io.steer(60.0 / beat, 0.0, line)
            self._taps.clear()

    def _counted_in(self) -> float:
        """Seconds of a beat by four taps; 0 without them, or where they are uneven."""
        if len(self._taps) < COUNT:
            return 0.0
        beat = (self._taps[-1] - self._taps[0]) / (COUNT - 1)
        off = max(abs(later - at - beat) for at, later in pairwise(self._taps))
        return beat if 60.0 / MOST <= beat <= 60.0 / LEAST and off <= UNEVEN_TAP * beat else 0.0

    def _post(self, hop: int, sound: Samples) -> None:
        assert self._io is not None
        self._sent[0] = sound
        self._client.first = self._hops.first
        self._client.send(hop, self._sent, self._io)

    def _load(self, hop: int, out: Samples) -> None:
        """Loads the worker's answer for a hop that ended `lead` hops ago."""
        assert self._io is not None
        answer = self._client.take(hop, self._io) if hop >= self._hops.first else None
        if answer is None:
            self._missing += 1
            if self._missing > _MAX_MISSING:
                self._sound.sureness = 0.0
            return
        self._missing = 0
        self._heard_at = ((hop + 1) * HOP - self._begin) / self._rate
        if self._concert is None:
            self._sound.load(answer[0])
            return
        for place in range(0, NOTE_FIELDS * MOST_NOTES, NOTE_FIELDS):
            if number := int(answer[0, place]):
                at, below = self._heard_at - float(answer[0, place + 1]), float(answer[0, place + 2])
                self._concert.hear(SoundNote(at, abs(number), number > 0, below))
