"""Voice rack of one node: turns events into voices, curves for the banks, and sound."""

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Event, Samples
from antiphon.api.backends.synths import ChannelBends, NamedValues, NoteShapes, SynthSettings, pressure_gain
from antiphon_pyo.bank import SIZE, Zone, take
from antiphon_pyo.info import OWN
from antiphon_pyo.instruments import INSTRUMENTS, Instrument
from antiphon_pyo.voices import PHYSICAL, Voices

# ---- MIDI channel and note state: bends, level curves without steps, and the pedal

CHANNELS = 16
GLIDE = 0.005
"""Ramp time of a controller in seconds."""


class Glides:
    """Linear ramps of one value per channel, or per voice.

    `values`: current values, `[channels]`. `loose`: True for channels that moved in the chunk ended by `finish`; only
    for these is `curves` `[channels, frames]` valid.
    """

    def __init__(self, first: float, frames: int, length: int, count: int = CHANNELS) -> None:
        self.values = np.full(count, first)
        self.loose = np.zeros(count, np.bool_)
        self.any_loose = False
        self.curves: Samples = np.full((count, frames), first, np.float32)
        self._first, self._length = first, max(1, length)
        self._target = [first] * count
        self._left = [0] * count
        self._filled: dict[int, int] = {}
        self._ramp = np.arange(1, frames + 1, dtype=np.float32)

    def reset(self) -> None:
        """Resets to the initial values at once."""
        self.values[:] = self._first
        self.loose[:] = self.any_loose = False
        self._left[:] = [0] * len(self._left)
        self._filled.clear()

    def start_ramp(self, channel: int, offset: int, value: float) -> None:
        """Starts a ramp at `offset` of this chunk."""
        self._filled.setdefault(channel, 0)
        self._fill(channel, offset)
        self._target[channel], self._left[channel] = value, self._length

    def put(self, channel: int, value: float) -> None:
        """Sets a value at once."""
        self.values[channel] = self._target[channel] = value
        self._left[channel] = 0
        self._filled.pop(channel, None)

    def ratio(self, channel: int, frames: int) -> Samples:
        """Speed factor, frame by frame, of a moving value in semitones."""
        factor: Samples = np.exp2(self.curves[channel, :frames] / np.float32(12.0))
        return factor

    def finish(self, frames: int) -> None:
        """Completes the curves of the chunk."""
        if self.any_loose:
            self.loose[:] = self.any_loose = False
        for channel in list(self._filled):
            self._fill(channel, frames)
            self.loose[channel] = self.any_loose = True
            if self._left[channel]:
                self._filled[channel] = 0
            else:
                del self._filled[channel]

    def _fill(self, channel: int, until: int) -> None:
        filled, left, value = self._filled[channel], self._left[channel], float(self.values[channel])
        if until <= filled:
            return
        moved = min(until - filled, left)
        curve = self.curves[channel, filled:until]
        if moved:
            step = (self._target[channel] - value) / left
            np.multiply(self._ramp[:moved], np.float32(step), out=curve[:moved])
            curve[:moved] += np.float32(value)
            value = self._target[channel] if moved == left else value + step * moved
            self._left[channel] = left - moved
        curve[moved:] = value
        self.values[channel] = value
        self._filled[channel] = until


class Channels:
    """State of a node's sixteen channels, from 0. bends: semitones.  gains: volume times expression."""

    def __init__(self, frames: int, rate: int) -> None:
        length = round(GLIDE * rate)
        self.bends, self.gains = Glides(0.0, frames, length), Glides(1.0, frames, length)
        self.factors = np.ones(CHANNELS)
        """Speed factors of constant bends."""
        self.pedal = [False] * CHANNELS
        self._reach, self._wheels = 2.0, ChannelBends()
        self._volume = [1.0] * CHANNELS
        self._expression = [1.0] * CHANNELS

    def reset(self, bend_range: float) -> None:
        """Resets all channels. `bend_range`: in semitones."""
        self._reach = bend_range
        self._wheels.reset()
        self.bends.reset()
        self.gains.reset()
        self.factors[:] = 1.0
        for of in (self._volume, self._expression):
            of[:] = [1.0] * CHANNELS
        self.pedal[:] = [False] * CHANNELS

    def bend(self, offset: int, event: Event) -> None:
        """Applies a pitch bend, or a controller that sets its range."""
        if self._wheels.follow(event, self._reach):
            self.bends.start_ramp(event.channel - 1, offset, self._wheels.semitones[event.channel])

    def volume(self, offset: int, channel: int, value: float) -> None:
        self._volume[channel] = value
        self._gain(offset, channel)

    def expression(self, offset: int, channel: int, value: float) -> None:
        self._expression[channel] = value
        self._gain(offset, channel)

    def finish(self, frames: int) -> None:
        """Completes the curves of the chunk."""
        self.bends.finish(frames)
        self.gains.finish(frames)
        if self.bends.any_loose:
            np.exp2(self.bends.values / 12.0, out=self.factors)

    def bend_speeds(self, channel: int, frames: int) -> Samples:
        """Speed factor, frame by frame, of a channel with a moving bend."""
        return self.bends.ratio(channel, frames)

    def _gain(self, offset: int, channel: int) -> None:
        self.gains.start_ramp(channel, offset, (self._volume[channel] * self._expression[channel]) ** 2)


_CAP = 1 << 23
"""Frame at which a voice's time saturates; float32 is exact up to there."""


def moving(
    voices: Voices, channels: Channels, index: NDArray[np.int64], time: int, frames: int, presses: Glides | None = None
) -> NDArray[np.bool_]:
    """Mask of the voices `index` whose level changes within the chunk that begins at sample `time`."""
    since = time - voices.begin[index]
    changes = (since < voices.resume[index]) | (since + voices.age[index] < voices.attack[index])
    changes |= voices.decay[index] > 0.0
    changes |= (voices.off[index] < time + frames) | (voices.kill[index] < time + frames)
    if channels.gains.any_loose:
        changes |= channels.gains.loose[voices.channel[index]]
    if presses is not None and presses.any_loose:
        changes |= presses.loose[index]
    return changes


def level(
    voices: Voices,
    channels: Channels,
    index: NDArray[np.int64],
    time: int,
    ramp: Samples,
    presses: Glides | None = None,
) -> Samples:
    """float32 `[voices, frames]`: attack, release, fades, gain. `ramp`: 0, 1, 2, … of the chunk's frames.

    `presses`: pressure gain of each voice.

    The first frame of an attack is already above 0, the first of a release already below its start.
    """
    since = _frames(time - voices.begin[index])
    out: Samples = np.minimum((since + ramp + 1) / _column(voices.resume[index]), np.float32(1.0))
    np.maximum(out, 0.0, out=out)
    aged = _frames(time - voices.begin[index] + voices.age[index])
    out *= np.clip((aged + ramp + 1) / _column(voices.attack[index]), 0.0, 1.0)
    if (voices.decay[index] > 0.0).any():
        decay = _column(voices.decay[index])
        fallen = np.clip((aged + ramp + 1 - _column(voices.attack[index])) / np.maximum(decay, 1.0), 0.0, 1.0)
        out *= np.where(decay > 0.0, 1.0 - (1.0 - _column(voices.sustain[index])) * fallen, 1.0)
    note_off = voices.off[index] < time + len(ramp)
    if note_off.any():
        falling = 1 - (_frames(time - voices.off[index]) + ramp + 1) / _column(voices.release[index])
        np.clip(falling, 0.0, 1.0, out=falling)
        falling *= falling
        out *= falling * falling
    if (voices.kill[index] < time + len(ramp)).any():
        falling = 1 - (_frames(time - voices.kill[index]) + ramp + 1) / _column(voices.fade[index])
        np.clip(falling, 0.0, 1.0, out=falling)
        out *= falling * falling
    out *= _column(voices.gain[index])
    owners = voices.channel[index]
    gains = channels.gains
    if gains.any_loose:
        for row in np.flatnonzero(gains.loose[owners]).tolist():
            out[row] *= gains.curves[owners[row], : len(ramp)]
        owners = np.where(gains.loose[owners], -1, owners)
    if (gains.values != 1.0).any():
        out *= _column(np.where(owners < 0, 1.0, gains.values[owners]))
    if presses is not None:
        for row, voice in enumerate(index.tolist()):
            if presses.any_loose and presses.loose[voice]:
                out[row] *= presses.curves[voice, : len(ramp)]
            elif presses.values[voice] != 1.0:
                out[row] *= np.float32(presses.values[voice])
    return out


def _frames(count: NDArray[np.int64]) -> Samples:
    return np.clip(count, -_CAP, _CAP).astype(np.float32)[:, None]


def _column(x: NDArray[np.float64]) -> Samples:
    return x.astype(np.float32)[:, None]


RESUME = 0.01
"""Fade-in in seconds of a resumed note."""
KNEE = 0.7
"""Level above which the sum of the voices saturates, so that it never exceeds full scale."""
_SNAP = np.float32(0.5)


class SlotSynth:
    """State of a slot, computed `chunk` frames at a time."""

    def __init__(self, rate: int, chunk: int) -> None:
        self._rate, self._chunk = rate, chunk
        self.banks = [take(rate, chunk) for _ in range(PHYSICAL // SIZE)]
        self._level = [row for bank in self.banks for row in bank.level]
        self._speed = [row for bank in self.banks for row in bank.speed]
        self._at_level = np.zeros(PHYSICAL)
        self._at_speed = np.zeros(PHYSICAL)
        self._ramp = np.arange(chunk, dtype=np.float32)
        self.voices = Voices(rate)
        self._channels = Channels(chunk, rate)
        self._settings = SynthSettings()
        self._instrument: Instrument = INSTRUMENTS["piano"]
        self._zones: Sequence[Zone | None] = [None] * 128
        self._shapes, self._values = NoteShapes(), NamedValues()
        self._pitches = Glides(0.0, chunk, round(GLIDE * rate), PHYSICAL)
        self._presses = Glides(1.0, chunk, round(GLIDE * rate), PHYSICAL)
        self._factors = np.ones(PHYSICAL)
        self._cutoffs = [0.0] * PHYSICAL
        self._random = random.Random(1)
        self._time = 0

    def open(self, settings: SynthSettings, zones: Sequence[Zone | None]) -> None:
        """Opens the slot, silent, with all state reset."""
        self.clear()
        self._settings, self._zones = settings, zones
        self._instrument = INSTRUMENTS[settings.instrument]
        self._channels.reset(settings.bend)
        self._random.seed(settings.seed)

    def clear(self) -> None:
        """Silences and frees every voice, with its filter."""
        for voice in np.flatnonzero(self.voices.ringing).tolist():
            self._still(voice)
        self.voices.reset()
        self._shapes.clear()
        for own in (self._pitches, self._presses):
            own.reset()
        self._factors[:] = 1.0
        for bank in self.banks:
            bank.rest()

    def run(self, events: Sequence[tuple[int, Event]], out: Samples) -> None:
        """Renders one chunk: `out` is `[2, chunk]`; events are in order, each with its offset in the chunk."""
        time, chunk = self._time, self._chunk
        for offset, event in events:
            self._event(time + offset, offset, event)
        self._channels.finish(chunk)
        self._presses.finish(chunk)
        self._pitches.finish(chunk)
        if self._pitches.any_loose:
            np.exp2(self._pitches.values / 12.0, out=self._factors)
        out.fill(0.0)
        ringing = self.voices.ringing
        if ringing.any():
            self._signals(time)
            for n, bank in enumerate(self.banks):
                if ringing[n * SIZE : (n + 1) * SIZE].any():
                    bank.run()
                    out += bank.out.T
            # to 24 bits: a filter's decay becomes silence, so that every note starts from the same state
            out += _SNAP
            out -= _SNAP
            _saturate(out)
            for voice in self.voices.finish(time + chunk).tolist():
                self._still(voice)
        self._time += chunk

    def _event(self, at: int, offset: int, event: Event) -> None:
        channel = min(max(event.channel, 1), 16)
        channels, voices = self._channels, self.voices
        if event.kind in ("bend", "control"):
            channels.bend(offset, event)
        match event.kind, event.number:
            case "control", _ if self._values.take(event):
                pass
            case "on", _:
                self._on(at, event, channel)
            case "off", number:
                if not self._instrument.one_shot:
                    voices.note_off(at, number, channel, pedal=channels.pedal[channel - 1])
            case ("pitch" | "pressure" | "timbre") as kind, number:
                self._shape(kind, offset, number, channel, event.value)
            case "control", 64 | 121:
                channels.pedal[channel - 1] = event.number == 64 and event.value >= 0.5
                if not channels.pedal[channel - 1]:
                    voices.release_pedal_notes(at, channel)
                if event.number == 121:  # all controllers are reset
                    channels.expression(offset, channel - 1, 1.0)
            case "control", 7:
                channels.volume(offset, channel - 1, event.value)
            case "control", 11:
                channels.expression(offset, channel - 1, event.value)
            case "control", 120:
                voices.silence(at, channel)
            case "control", 123:
                if not self._instrument.one_shot:
                    voices.release_channel_notes(at, channel)
            case _:
                pass  # a control no voice listens to

    def _shape(self, kind: str, offset: int, note: int, channel: int, value: float) -> None:
        """Sets an expression value of a sounding or later note."""
        voice = self.voices.holding(note, channel)
        if voice < 0:
            self._shapes.put(kind, note, channel, value)
        elif kind == "pitch":
            self._pitches.start_ramp(voice, offset, value)
        elif kind == "pressure":
            self._presses.start_ramp(voice, offset, pressure_gain(value))
        else:
            self.banks[voice // SIZE].set_cutoff(voice % SIZE, self._cutoffs[voice] * _brightness(value))

    def _on(self, at: int, event: Event, channel: int) -> None:
        note, like = min(max(event.number, 0), 127), self._instrument
        shape, own = self._shapes.take(note, channel), self._values.take_named(channel, OWN)
        zone = self._zones[note]
        if zone is None or event.value <= 0.0:
            return
        velocity = min(event.value, 1.0)
        phase = self._random.random() if like.free else 0.0
        pitch = zone.pitch(note)
        position = 0.0 if zone.loop else event.age * pitch * zone.hz * zone.size / self._rate
        if not zone.loop and position >= zone.frames:
            return
        voice = self.voices.take_voice(at, note, channel, self._settings.voices, like.chokes.get(note, 0))
        if voice < 0:
            return
        voices = self.voices
        voices.age[voice] = event.age
        voices.attack[voice] = max(1.0, own.get("attack", like.attack) * self._rate)
        voices.decay[voice] = max(0.0, own.get("decay", 0.0)) * self._rate
        voices.sustain[voice] = min(1.0, max(0.0, own.get("sustainlevel", 0.0)))
        damper = like.release if note <= like.damped else 4 * like.release
        voices.release[voice] = max(1.0, own.get("release", damper) * self._rate)
        voices.resume[voice] = RESUME * self._rate if event.age else 1.0
        voices.gain[voice] = like.level * velocity**like.curve
        voices.hz[voice] = zone.hz * pitch
        voices.speed[voice] = zone.hz * pitch * zone.size / self._rate
        voices.position[voice] = position
        voices.length[voice] = np.inf if zone.loop else zone.frames
        self._pitches.put(voice, shape.pitch)
        self._presses.put(voice, pressure_gain(shape.pressure))
        self._factors[voice] = 2.0 ** (shape.pitch / 12.0)
        asked = own.get("lpf")
        cutoff = self._cutoffs[voice] = max(20.0, asked) if asked else zone.cutoff(note, velocity)
        self.banks[voice // SIZE].begin(
            voice % SIZE, zone, phase if zone.loop else position / zone.size, cutoff * _brightness(shape.timbre)
        )

    def _signals(self, time: int) -> None:
        voices, chunk = self.voices, self._chunk
        index = np.flatnonzero(voices.active)
        changes = moving(voices, self._channels, index, time, chunk, self._presses)
        busy = index[changes]
        if len(busy):
            rows = level(voices, self._channels, busy, time, self._ramp, self._presses)
            for row, voice in enumerate(busy.tolist()):
                self._level[voice][:] = rows[row]
                self._at_level[voice] = -1.0
        calm = index[~changes]
        wanted = voices.gain[calm] * self._channels.gains.values[voices.channel[calm]] * self._presses.values[calm]
        for n in np.flatnonzero(self._at_level[calm] != wanted).tolist():
            self._level[calm[n]].fill(wanted[n])
        self._at_level[calm] = wanted
        self._speeds(index, time)

    def _speeds(self, index: NDArray[np.int64], time: int) -> None:
        voices, channels, chunk = self.voices, self._channels, self._chunk
        owners, begin = voices.channel[index], voices.begin[index]
        calm = begin < time
        if channels.bends.any_loose:
            calm &= ~channels.bends.loose[owners]
        if self._pitches.any_loose:
            calm &= ~self._pitches.loose[index]
        factor = channels.factors[owners] * self._factors[index]
        wanted = voices.hz[index] * factor
        for n in np.flatnonzero(calm & (self._at_speed[index] != wanted)).tolist():
            self._speed[index[n]].fill(wanted[n])
        self._at_speed[index] = np.where(calm, wanted, -1.0)
        voices.position[index] += np.where(calm, voices.speed[index] * factor * chunk, 0.0)
        for n in np.flatnonzero(~calm).tolist():
            voice, owner = int(index[n]), int(owners[n])
            row = self._speed[voice]
            if not channels.bends.loose[owner] and not self._pitches.loose[voice]:
                row.fill(wanted[n])
            else:
                row.fill(voices.hz[voice])
                row *= channels.bend_speeds(owner, chunk) if channels.bends.loose[owner] else channels.factors[owner]
                row *= self._pitches.ratio(voice, chunk) if self._pitches.loose[voice] else self._factors[voice]
            # the frame of the onset reads where the table begins
            row[: max(0, int(begin[n]) - time + 1)] = 0.0
            voices.position[voice] += voices.speed[voice] / voices.hz[voice] * float(row.sum())

    def _still(self, voice: int) -> None:
        self._level[voice].fill(0.0)
        self._speed[voice].fill(0.0)
        self._at_level[voice] = self._at_speed[voice] = 0.0


def _brightness(timbre: float) -> float:
    """Cutoff factor of a timbre: two octaves down to two up, 1 in the middle."""
    return float(2.0 ** (4.0 * (timbre - 0.5)))


def _saturate(x: Samples) -> None:
    """Soft clipper: identity up to `KNEE`, then smoothly towards 1; memoryless, so that the hop size has no effect."""
    over = np.abs(x)
    if float(over.max()) > KNEE:
        over -= np.float32(KNEE)
        np.maximum(over, 0.0, out=over)
        # the excess over the knee, minus its compressed part
        over -= np.tanh(over / np.float32(1.0 - KNEE)) * np.float32(1.0 - KNEE)
        x -= np.copysign(over, x)
