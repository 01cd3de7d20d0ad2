"""Processor `sampler`: plays recorded sounds for notes, starting at the note's exact frame."""

import math

import numpy as np

from antiphon.api import AUDIO_OUT, EVENTS_IN, IO, Event, FileUse, Processor, Samples, Step, StreamSpec
from antiphon.api.backends.synths import ChannelBends, NoteShapes, pressure_gain
from antiphon.api.backends.workers import current_pool
from antiphon.api.kernels import fill_sound
from antiphon.kernel.runtime.sound_packs import sound_packs
from antiphon_sampler.general_midi import PROGRAMS, SAMPLED, UNMEANT, general_midi, soundfont
from antiphon_sampler.library import add_packs, folder_of, list_folder, nearest_sampled
from antiphon_sampler.loops import (
    BATCH_SIZE,
    MAX_LOOPS,
    MIN_BEATS,
    ClockedLoop,
    cuts_between,
    frames_of_share,
    slice_frames,
)
from antiphon_sampler.oscillators import ENVELOPE, NAMES as OSCILLATORS, nearest as nearest_tone, oscillators
from antiphon_sampler.pads import (
    HAT_GROUP,
    HATS,
    drum_rows,
    nearest_samples,
    parse_pad_map,
    recorded_notes,
    rows_by_name,
    sound_words,
)
from antiphon_sampler.samples import DecodedSample, LongSample, Sample, page_range
from antiphon_sampler.sounds import READY_SECONDS, Sounds, sounds_of
from antiphon_sampler.values import NODE_PARAMS, ChannelValues, NoteValues
from antiphon_sampler.voices import MissedNotes, NewVoice, SampleVoices

_DB = math.log(10.0) / 20.0
VOLUME, ALL_SOUND_OFF, ALL_NOTES_OFF = 7, 120, 123
"""MIDI controllers: channel volume, and two that end a channel's notes."""
TRIGGER = 1 << 20
"""Offset of trigger numbers within a block, distinct from event numbers."""
TUNED = ("pitch", "named")
"""Values of `pads` by which a note moves the pitch of its sample."""
LOOP_GROUP = -2
"""Cut group of the first loop's voices; further ones count down."""


class Sampler(Processor):
    """Plays the samples of a folder. A sample begins with its first frame on the note's frame.

    On files a sample is decoded at its first note; live, ahead of time, by background threads.
    """

    inputs = (EVENTS_IN,)
    outputs = (AUDIO_OUT,)
    on_files = FileUse(tail=True)
    params = NODE_PARAMS

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = spec.rate
        self._gain = np.zeros(spec.block, np.float32)
        self._sounding = np.zeros(1)
        self._voices = SampleVoices(spec.rate, int(self.settings["voices"]))
        self._sounds: Sounds | None = None
        self._general: Sounds | None = None
        self._tones: Sounds | None = None
        general = tuple(PROGRAMS) if not self.settings["library"] and soundfont() else ()
        self._missed_notes = MissedNotes()
        self.parts = (self._missed_notes,)
        pool, folder = current_pool(), folder_of(str(self.settings["library"]))
        also = tuple(pack.folder for pack in sound_packs()) if self.settings["packs"] else ()
        if pool is None:
            listing = add_packs(list_folder(folder), also)
        else:
            self._sounds = sounds_of(folder, spec.rate, also)
            self._sounds.reader.add(self._voices.streams)
            listing = self._sounds.listing
            self._general = general_midi(spec.rate) if general else None
            self._tones = oscillators(spec.rate) if not self.settings["library"] else None
            if self._general is not None and not pool.lockstep:
                self._general.start()
            if not pool.lockstep:
                self._sounds.start()
                if self._tones is not None:
                    self._tones.start()
                self._sounds.wait(pool.patience(READY_SECONDS))
        self._in_place = pool is not None and pool.lockstep
        names = (*listing.names, *(() if self.settings["library"] else OSCILLATORS))
        self._first_tone, self._first_general = len(listing.names), len(names)
        self._rows = rows_by_name(names)
        if len(names) > len(listing.names):
            self._rows["saw"] = self._rows["sawtooth"]
        self._rows |= {name: self._first_general + n for n, name in enumerate(general)}
        self.vocabulary = sound_words(names, general)
        self._row = self._rows.get(str(self.settings["s"]), -2) if self.settings["s"] else -1
        self._drums = drum_rows(listing.names)
        self._pads = parse_pad_map(str(self.settings["map"]), listing.names)
        rows = [[sample.name for sample in samples] for samples in listing.samples]
        self._recorded = {pads: [recorded_notes(row, mapped=pads == "pitch") for row in rows] for pads in TUNED}
        self._nearest = {pads: [nearest_samples(row) for row in held] for pads, held in self._recorded.items()}
        self._order = tuple((row, n) for row, samples in enumerate(listing.samples) for n in range(len(samples)))
        self._pending = ChannelValues(self._rows)
        self._loops: list[ClockedLoop | None] = [None] * MAX_LOOPS
        self._bends = ChannelBends()
        self._shapes = NoteShapes()
        self._down: set[tuple[int, int]] = set()
        self._volumes: dict[int, float] = {}
        self.reset()

    def reset(self) -> None:
        self._voices.reset()
        self._pending.reset()
        self._shapes.clear()
        self._down.clear()
        self._volumes.clear()
        self._missed = self._at = self._fired = self._sliced = 0
        self._loops[:] = [None] * MAX_LOOPS
        self._bends.reset()

    def process(self, io: IO) -> None:
        out, sounds = io.audio_out[0], self._sounds
        out.fill(0.0)
        if sounds is None:
            return
        sound = out[:2]
        self._at = self._fired = self._sliced = 0
        self._read(io, sounds)
        if io.time.playing:
            for loop in self._loops:
                if loop is not None:
                    loop.follow(io.time)
        for number, event in enumerate(io.events_in):
            self._advance(io, sound, event.offset)
            self._event(io, event, number)
        self._advance(io, sound, io.frames)
        gain = self._gain[: io.frames]
        self._gains(io.curve("level"), gain)
        np.multiply(sound, gain, out=sound)
        self._missed_notes.clear()
        io.report("files", sounds.counts[2])
        io.report("loaded", sounds.decoded_count)
        io.report("unreadable", sounds.unreadable)
        io.report("missed", self._missed)
        io.report("underruns", self._voices.underruns)
        io.report("dropped", self._voices.dropped)
        io.report("sounding", self._voices.sounding)

    def step(self, io: IO) -> Step | None:
        """Step of a block without notes and without waiting loops; notes are played by `process`."""
        out, sounds, voices = io.audio_out[0], self._sounds, self._voices
        if sounds is None:
            return fill_sound.step(out, 0.0)
        if len(out) > 2 or any(loop is not None for loop in self._loops):
            return None
        gain = np.full(io.frames, io.at("level", 0), np.float32)
        self._gains(gain, gain)
        mixed = voices.step(out, gain, self._sounding)
        self._sounding[0] = voices.sounding
        held = {name: (sounds.counts, place) for place, name in enumerate(("loaded", "unreadable", "files"))}
        return mixed and mixed.reporting(**held, sounding=(self._sounding, 0))

    def _gains(self, level: Samples, out: Samples) -> None:
        """Converts levels in dB to gain factors."""
        np.multiply(level, np.float32(_DB), out=out)
        np.exp(out, out=out)

    def _advance(self, io: IO, sound: Samples, frame: int) -> None:
        """Mixes up to a frame, starting due slices and triggers before it. Those at the frame follow its events."""
        fired = io.fired("play")
        while True:
            due, slot = self._due(io, frame)
            if self._fired < len(fired) and fired[self._fired] < min(due, frame):
                self._mix(sound, fired[self._fired])
                self._note(
                    io, Event("on", self._at, 0, 1.0), self._pending.values(io, self._at, 0), TRIGGER + self._fired
                )
                self._fired += 1
                continue
            if slot < 0:
                self._mix(sound, frame)
                return
            self._mix(sound, max(self._at, due))
            self._start_next_slice(slot, io.time.tempo)

    def _read(self, io: IO, sounds: Sounds) -> None:
        """Fades out voices whose file was not read in time for this block; offline, reads it."""
        voices = self._voices
        if not voices.streams.in_use:
            return
        if self._in_place:
            sounds.reader.fill(voices.streams)
        for row in self._missed_notes.voices:
            voices.fade_unread(row)
        for row in voices.fade_missing_pages(io.frames):
            io.mark("underrun", row)

    def _mix(self, sound: Samples, frame: int) -> None:
        voices = self._voices
        while self._in_place and self._at < frame and voices.streams.in_use:
            # on files: as far as a stream's pages reach
            assert self._sounds is not None
            self._sounds.reader.fill(voices.streams)
            end = min(frame, self._at + voices.reach)
            voices.mix(sound, self._at, end)
            self._at = end
        voices.mix(sound, self._at, frame)
        self._at = max(self._at, frame)

    def _due(self, io: IO, frame: int) -> tuple[int, int]:
        """Frame before `frame` of the next loop slice, and the loop's slot; `frame` and -1 for none."""
        slot = -1
        if io.time.playing and self._sliced < BATCH_SIZE:
            for n, loop in enumerate(self._loops):
                if loop is not None and (at := loop.frame(io.time, self._rate)) < frame:
                    frame, slot = at, n
        return frame, slot

    def _event(self, io: IO, event: Event, number: int) -> None:
        channel = event.channel
        if event.kind in ("bend", "control") and self._bends.follow(event, float(io.at("bend", event.offset))):
            self._voices.bend(channel, self._bend_factor(channel))
        match event.kind:
            case "on":
                self._note(io, event, self._pending.values(io, event.offset, channel), number)
                self._down.add((channel, event.number))
            case "pitch" | "pressure" | "timbre":
                if (channel, event.number) not in self._down:
                    self._shapes.put(event.kind, event.number, channel, event.value)
                elif event.kind == "pitch":
                    self._voices.shape(event.number, channel, pitch=2.0 ** (event.value / 12.0))
                elif event.kind == "pressure":
                    self._voices.shape(event.number, channel, pressure=pressure_gain(event.value))
            case "off":
                self._down.discard((channel, event.number))
                # a sample that repeats has no other end
                self._voices.release_note(event.number, channel, looped=not io.at("gate", event.offset))
                for slot, loop in enumerate(self._loops):
                    if loop is not None and (loop.note, loop.channel) == (event.number, channel):
                        self._end(slot)
            case "control":
                if event.number == VOLUME:
                    self._volumes[channel] = event.value**2
                elif not self._pending.take(event.number, event.value, channel) and event.number in (
                    ALL_SOUND_OFF,
                    ALL_NOTES_OFF,
                ):
                    self._voices.release_note(-1, channel)
                    for slot, loop in enumerate(self._loops):
                        if loop is not None and loop.channel == channel:
                            self._end(slot)

    def _bend_factor(self, channel: int) -> float:
        """Speed factor by the channel's bend."""
        return float(2.0 ** (self._bends.semitones[channel] / 12.0))

    def _note(self, io: IO, event: Event, values: NoteValues, number: int) -> None:
        """Starts a note; `number`: its index among the block's events or triggers, for the session log."""
        shape = self._shapes.take(event.number, event.channel)
        found = self._choose_sample(io, event, values)
        if found is None:
            self._missed += 1
            return
        row, index, pitch, group = found
        sounds = self._sounds
        if row >= self._first_general:
            sounds, row = self._general, row - self._first_general
        elif row >= self._first_tone:
            sounds, row = self._tones, row - self._first_tone
            if values.attack == values.decay == values.sustainlevel == 0.0:
                values.attack, values.decay, values.sustainlevel = ENVELOPE
        assert sounds is not None
        place = sounds.place(row, index, event.value)
        sample = sounds.decode(place) if self._in_place else sounds.get(place)
        first, last = (0, 0) if sample is None else self._part(io, event, sample, values)
        if not self._there(sample, first, last, values.speed) or number in self._missed_notes.notes:
            self._missed += 1
            io.mark("missed", number)
            return
        assert sample is not None
        sensitivity = float(io.at("sensitivity", event.offset))
        struck = event.value if io.at("linear", event.offset) else event.value**2
        gain = values.gain * self._volumes.get(event.channel, 1.0) * (1.0 - sensitivity + sensitivity * struck)
        values.speed *= pitch * self._retuned_speed_factor(io, event, values, found[0], index, sample)
        if values.cut:
            self._cut(values.cut)
        if values.beats > 0.0 and (values.loop or values.stretch == "onsets"):
            self._begin(io, event, sample, values, gain, first, last)
            return
        if values.beats > 0.0:
            values.speed *= (last - first) / self._rate * io.time.tempo / (60.0 * values.beats)
        values.shorten(io.time.tempo)
        sample, last, loop = _looped_part(sample, last, values, values.keyed and number < TRIGGER)
        voice = NewVoice(
            speed=values.speed, bend=self._bend_factor(event.channel), gain=gain, pan=values.pan,
            attack=values.attack, release=values.release, cut=values.cut or group, note=event.number,
            channel=event.channel, pitch=2.0 ** (shape.pitch / 12.0), pressure=pressure_gain(shape.pressure),
            sustain=values.sustain, accelerate=values.accelerate, repeats=values.repeats, values=values,
            loop=loop,
        )  # fmt: skip
        self._voices.start(sample, first, last, voice)

    def _there(self, sample: Sample | None, first: int, last: int, speed: float) -> bool:
        """True if a part of a sample can start now; if a long sample's pages are missing, requests them."""
        if not isinstance(sample, LongSample) or self._in_place:
            return sample is not None
        way = page_range(first, last, speed)
        if sample.begins(way):
            return True
        assert self._sounds is not None
        self._sounds.reader.request(sample, way)
        return False

    def _choose_sample(self, io: IO, event: Event, values: NoteValues) -> tuple[int, int, float, int] | None:
        """Row and index of a note's sample, its speed factor, its cut group; None if there is no such row."""
        row = self._row if values.row == -1 else values.row
        pads, base = io.at("pads", event.offset), int(io.at("base", event.offset))
        pad = self._pads.get(event.number) if values.meant and values.row == -1 else None
        if pad is not None and values.slice == "off" and pads not in TUNED:
            return pad.row, pad.index, 1.0, pad.cut
        if row == -2:
            return None
        if row >= self._first_tone:
            note, general = event.number if values.meant else UNMEANT, row >= self._first_general
            near = nearest_sampled(note, SAMPLED) if general else nearest_tone(row - self._first_tone, note)
            return row, *near, 0
        if values.slice != "off":
            return max(0, row), values.n, 1.0, 0
        if pads in TUNED and values.meant:
            row, n = max(0, row), values.n
            if samples := self._nearest[pads][row]:
                alike = samples[min(127, max(0, event.number))]
                n = alike[n % len(alike)]
            return row, n, 2.0 ** ((event.number - base) / 12.0), 0
        step = event.number - base if values.meant else 0
        if row >= 0:
            return row, values.n if values.row >= 0 else values.n + step, 1.0, 0
        if pads == "names" and values.meant and self._drums[event.number] >= 0:
            return self._drums[event.number], values.n, 1.0, HAT_GROUP if event.number in HATS else 0
        return (*self._order[(values.n + step) % len(self._order)], 1.0, 0)

    def _retuned_speed_factor(
        self, io: IO, event: Event, values: NoteValues, row: int, index: int, sample: Sample
    ) -> float:
        """Speed factor of a pitched note whose sample's own note is known, by the file's name or its root."""
        pads = io.at("pads", event.offset)
        if pads not in TUNED or not values.meant or values.slice != "off" or row >= self._first_tone:
            return 1.0
        recorded = self._recorded[pads][row]
        root = float(recorded[index % len(recorded)])
        root = sample.root if root < 0.0 else root
        return 1.0 if root < 0.0 else float(2.0 ** ((int(io.at("base", event.offset)) - root) / 12.0))

    def _part(self, io: IO, event: Event, sample: Sample, values: NoteValues) -> tuple[int, int]:
        """First frame of the played part of a sample, and the frame after its last."""
        first, last = 0, sample.frames
        if values.slice != "off":
            number = event.number - int(io.at("base", event.offset)) if values.meant else 0
            first, last = slice_frames(
                sample.frames, sample.onsets, values.slices if values.slice == "equal" else 0, number
            )
        return frames_of_share(first, last, values.begin, values.end)

    def _cut(self, group: int) -> None:
        """Ends the loops of a cut group; its voices are cut when the new one starts."""
        for slot, loop in enumerate(self._loops):
            if loop is not None and loop.values.cut == group:
                self._end(slot)
        self._voices.cut(group)

    def _begin(
        self, io: IO, event: Event, sample: Sample, values: NoteValues, gain: float, first: int, last: int
    ) -> None:
        """Starts a loop, or a sliced part; at `MAX_LOOPS` loops, the oldest ends."""
        values.beats = max(MIN_BEATS, values.beats)
        slot = next((n for n, loop in enumerate(self._loops) if loop is None), -1)
        if slot < 0:
            slot = min(range(MAX_LOOPS), key=lambda n: self._loops[n].begun)  # type: ignore[union-attr]
            self._end(slot)
        time = io.time
        beat = time.beat + (event.offset * time.tempo / (60.0 * self._rate) if time.playing else 0.0)
        cuts = cuts_between(sample, first, last, values.stretch)
        self._loops[slot] = ClockedLoop(
            sample, values, gain, event.number, event.channel, beat, cuts, 0, LOOP_GROUP - slot
        )
        self._start_next_slice(slot, time.tempo)

    def _start_next_slice(self, slot: int, tempo: float) -> None:
        """Starts the next slice of a loop, at the current mix position."""
        loop = self._loops[slot]
        assert loop is not None
        values, cuts = loop.values, loop.cuts
        place = loop.next % (len(cuts) - 1)
        first, last, speed = cuts[place], cuts[place + 1], values.speed
        if values.stretch == "speed":
            speed *= (last - first) / self._rate * tempo / (60.0 * values.beats)
        voice = NewVoice(
            speed=speed, bend=self._bend_factor(loop.channel), gain=loop.gain, pan=values.pan,
            attack=values.attack if place == 0 else 0.0, release=values.release if place == len(cuts) - 2 else 0.0,
            cut=loop.group, note=loop.note, channel=loop.channel, values=values, moves=False,
        )  # fmt: skip
        self._voices.start(loop.sample, first, last, voice)
        loop.next += 1
        self._sliced += 1
        if loop.over():
            self._loops[slot] = None

    def _end(self, slot: int) -> None:
        """Ends a loop and fades out its voices."""
        loop = self._loops[slot]
        if loop is not None:
            self._voices.cut(loop.group)
            self._loops[slot] = None


def _looped_part(sample: Sample, last: int, values: NoteValues, keyed: bool) -> tuple[Sample, int, int]:
    """Part of a looped sample that a note plays: the sample, its end frame, and the start of its loop or -1.

    `keyed`: whether it has a note-off. Without one, backwards, or for a part, the sample plays as recorded.
    """
    held = sample.held if isinstance(sample, DecodedSample) else None
    lasts = keyed or values.sustain > 0.0
    if held is None or not lasts or last < sample.frames or values.beats > 0.0 or values.speed <= 0.0:
        return sample, last, -1
    return held, held.frames, held.loop
