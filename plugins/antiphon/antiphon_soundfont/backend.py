"""`FluidSynth`: synth backend that plays a soundfont."""

import ctypes
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Event, Samples
from antiphon.api.backends.analysis import LoudnessMeter
from antiphon.api.backends.synths import ChannelBends, SharedPressure, SynthSettings, parse_controls
from antiphon_soundfont.info import INSTALL_FONT, PROGRAMS, check, find_soundfont
from antiphon_soundfont.library import CHANNELS, DRUMS, SoundfontError, SoundfontSynth

# ---- Loudness of a General MIDI soundfont's programs, beside that of FluidR3, by which levels of a band are set

REFERENCE = "FluidR3_GM.sf2"
LOUDNESS = (
    -32.7, -33.2, -29.3, -32.7, -29.1, -32.5, -28.9, -30.4, -29.3, -28.7, -30.3, -34.5, -29.9, -39.6, -26.2, -36.2,
    -35.0, -28.0, -30.4, -29.0, -31.6, -32.3, -31.5, -31.5, -31.1, -30.3, -28.9, -30.1, -35.3, -28.1, -25.6, -25.5,
    -30.0, -30.4, -31.6, -30.1, -32.3, -32.5, -30.5, -25.2, -32.4, -34.0, -34.4, -35.0, -30.8, -28.1, -28.4, -40.8,
    -32.4, -31.7, -29.3, -29.3, -34.0, -28.7, -31.5, -29.1, -31.9, -27.3, -26.2, -31.5, -30.9, -32.6, -30.7, -31.3,
    -29.8, -27.8, -30.0, -30.3, -31.2, -34.5, -30.7, -27.4, -33.0, -30.4, -29.6, -32.2, -28.1, -26.3, -27.3, -28.3,
    -28.9, -33.0, -33.7, -33.6, -29.6, -28.0, -37.6, -31.3, -31.4, -43.6, -30.1, -28.6, -27.0, -32.9, -30.1, -31.1,
    -29.9, -33.0, -30.8, -26.6, -29.9, -46.2, -31.4, -28.2, -30.8, -31.9, -36.6, -32.6, -34.2, -30.0, -33.0, -30.5,
    -31.3, -36.3, -30.1, -39.2, -30.8, -31.6, -27.4, -48.9, -29.0, -28.8, -37.1, -27.7, -30.2, -54.7, -37.0, -26.6,
    -37.6,
)  # fmt: skip
"""Loudness in LUFS of FluidR3's programs 0 to 127 and, last, its drums, as measured by `loudness`."""
DRUM_KIT = 128
"""Index of the drums after the programs."""
MAX_GAIN = 12.0
"""Maximum gain of a program in dB, in either direction."""
_RATE, _HELD, _FRAMES = 22050, 4410, 11025
_BASSES = (*range(32, 40), 43)
_KIT, _LOW, _MIDDLE, _VELOCITY = (36, 38, 42, 46, 51), (31, 36, 43), (52, 60, 67, 76), 65
_SILENT = -60.0


def loudness(font: Path, gain: float) -> list[float]:
    """Measures the loudness in LUFS of programs 0 to 127 and the drums, by short notes in a part's register."""
    synth = SoundfontSynth(_RATE, font, gain)
    found = []
    try:
        for name in ("set_reverb_on", "set_chorus_on"):
            synth.call(name, 0)
        for program in range(DRUM_KIT + 1):
            channel = DRUMS if program == DRUM_KIT else 0
            keys = _KIT if program == DRUM_KIT else _LOW if program in _BASSES else _MIDDLE
            if program < DRUM_KIT:
                synth.call("program_change", channel, program)
            sound = np.zeros((2, len(keys) * _FRAMES), np.float32)
            for n, key in enumerate(keys):
                synth.call("noteon", channel, key, _VELOCITY)
                synth.write(sound, n * _FRAMES, n * _FRAMES + _HELD)
                synth.call("noteoff", channel, key)
                synth.write(sound, n * _FRAMES + _HELD, (n + 1) * _FRAMES)
            synth.call("all_sounds_off", channel)
            found.append(LoudnessMeter.of(sound, _RATE))
    finally:
        synth.close()
    return found


def trims(font: Path, gain: float) -> list[float]:
    """Gains in dB, of programs 0 to 127 and of the drums, that make a soundfont as loud as FluidR3."""
    if font.name == REFERENCE:
        return [0.0] * len(LOUDNESS)
    pairs = zip(LOUDNESS, loudness(font, gain), strict=True)
    return [float(np.clip(ours - its, -MAX_GAIN, MAX_GAIN)) if its > _SILENT else 0.0 for ours, its in pairs]


GAIN = 0.9
"""FluidSynth's gain setting: a piano is some 5 dB softer than the synth's, since a song has many parts."""
POLYPHONY = 128
RESUME_VELOCITY = 0.5
"""Velocity factor of a note resumed after a restart: FluidSynth can only strike it anew."""
SPARES = 2
"""Number of spare synths, for nodes that begin at once."""
CENTRE, REACH = 8192, 8191
"""Centre and range of a 14-bit pitch bend."""
BANK, VOLUME, RESET = 0, 7, 121
RHYTHM, MELODIC = (120, 126, 127), 121
"""Bank numbers, by controller, that make a channel a rhythm part, and the one that makes channel 10 melodic."""
DRUM_BANK = 128
"""Bank of drums in a soundfont."""
ATTENUATION = 48
"""Generator of a channel's attenuation in tenths of dB."""
FULL, DEFAULT = 127, 100
"""Initial volume of a channel: for a synth node's instruments, and in General MIDI."""
MAX_BEND = 72
"""Maximum pitch bend range of FluidSynth in semitones."""


class FluidSynth:
    """Backend with a `SoundfontSynth` per slot.

    rate, hop: of the stream.  slots: number of nodes.  soundfont: its path, "" for the machine's default.
    """

    name = "soundfont"
    rehearses = True

    def __init__(self, rate: int, hop: int, slots: int = 4, soundfont: str = "") -> None:
        font = soundfont or find_soundfont()
        if not font:
            raise SoundfontError(f"there is no General MIDI soundfont: {INSTALL_FONT}, or name a .sf2 of the library")
        check(Path(font))
        self._hop = hop
        # a font of one's own sounds as it is; levels of a band are set by General MIDI's
        self._spares = _SynthPool(rate, Path(font), () if soundfont else trims(Path(font), GAIN))
        self._players = [_Player(self._spares) for _ in range(slots)]
        self._events: list[Sequence[Event]] = [()] * slots

    def open(self, slot: int, settings: SynthSettings) -> None:
        self._players[slot].open(settings)
        self._events[slot] = ()

    def close(self, slot: int) -> None:
        self._events[slot] = ()

    def play(self, slot: int, sample: int, events: Sequence[Event]) -> None:
        self._events[slot] = events

    def render(self, out: Samples, active: NDArray[np.bool_]) -> None:
        for slot, player in enumerate(self._players):
            if not active[slot]:
                continue
            at = 0
            for event in self._events[slot]:
                offset = min(max(event.offset, at), self._hop)
                player.synth.write(out[slot], at, offset)
                at = offset
                player.event(event)
            self._events[slot] = ()
            player.synth.write(out[slot], at, self._hop)


class _SynthPool:
    """Pool of fresh synths, because a system reset leaves sound in FluidSynth's reverb and voices.

    A thread creates replacements, because reloading a large soundfont takes a quarter of a second. `trims`: gains of
    the programs and the drums in dB; empty to leave the font unchanged.
    """

    def __init__(self, rate: int, font: Path, trims: Sequence[float]) -> None:
        self._rate, self._font = rate, font
        self.trims = trims if any(trims) else ()
        self._fresh: SimpleQueue[SoundfontSynth] = SimpleQueue()
        self._thread = ThreadPoolExecutor(1, "soundfont")
        # the first shows whether the font can be played at all
        self._fresh.put(self._made())
        self._thread.submit(self._more)

    def take(self, old: SoundfontSynth | None) -> SoundfontSynth:
        """Returns a fresh synth; `old` is freed, and a replacement is created."""
        self._thread.submit(self._more, old)
        try:
            return self._fresh.get_nowait()
        except Empty:
            return self._made()

    def _made(self) -> SoundfontSynth:
        # FluidSynth can only attenuate
        return SoundfontSynth(self._rate, self._font, GAIN * 10.0 ** (MAX_GAIN / 20.0) if self.trims else GAIN)

    def _more(self, old: SoundfontSynth | None = None) -> None:
        if old is not None:
            old.close()
        if self._fresh.qsize() < SPARES:
            self._fresh.put(self._made())


class _Player:
    """One node: converts events to FluidSynth calls."""

    def __init__(self, spares: _SynthPool) -> None:
        self._spares = spares
        self._synth: SoundfontSynth | None = None
        self._program = -1
        self._all_drums = False
        self._rhythm: set[int] = set()
        self._bends, self._reach = ChannelBends(), [0] * (CHANNELS + 1)
        self._own = 2.0
        self._programs, self._trimmed = [0] * CHANNELS, [-1] * CHANNELS  # the latter: whose level is set
        self._chosen = [0] * CHANNELS  # programs of channels while they are melodic
        self._held: set[tuple[int, int]] = set()
        self._next: dict[tuple[int, int], float] = {}
        self._tuned: dict[tuple[int, int], float] = {}
        self._pressures = SharedPressure()
        self._key, self._cents = (ctypes.c_int * 1)(), (ctypes.c_double * 1)()

    def open(self, settings: SynthSettings) -> None:
        """Opens the slot, silent, with all state reset."""
        if self._synth is None or self._synth.used:
            self._synth = self._spares.take(self._synth)
        synth, instrument = self._synth, settings.instrument
        for table in (self._held, self._next, self._tuned):
            table.clear()
        self._pressures.clear()
        given = dict(parse_controls(settings.controls).fixed)
        synth.call("set_polyphony", int(given.get("polyphony", POLYPHONY)))
        synth.call("set_reverb_on", int(given.get("reverb", 1.0)))
        synth.call("set_chorus_on", int(given.get("chorus", 1.0)))
        self._all_drums = instrument == "drums"
        self._own = settings.bend
        self._bends.reset()
        self._program = int(instrument) if instrument.isdigit() else PROGRAMS.get(instrument, -1)
        self._rhythm = {DRUMS}
        self._chosen = [max(0, self._program)] * CHANNELS
        for channel in range(CHANNELS):
            self._widen(channel, round(settings.bend) + 1)
            self._change(channel)
            self._trimmed[channel] = -1
            synth.call("cc", channel, VOLUME, FULL if instrument in PROGRAMS or self._all_drums else DEFAULT)
            # a table of pitches for each channel, so that single keys can be tuned
            synth.call("activate_key_tuning", 0, channel, b"", None, 0)
            synth.call("activate_tuning", channel, 0, channel, 0)

    @property
    def synth(self) -> SoundfontSynth:
        """Synth used since `open`."""
        assert self._synth is not None
        return self._synth

    def event(self, event: Event) -> None:
        synth = self.synth
        channel = DRUMS if self._all_drums else min(max(event.channel, 1), CHANNELS) - 1
        note = min(max(event.number, 0), 127)
        for key, pressure in self._pressures.split(Event(event.kind, 0, note, event.value, channel + 1)):
            where = (channel,) if key is None else (channel, key)
            synth.call("channel_pressure" if key is None else "key_pressure", *where, _seven_bits(pressure))
        if event.kind in ("bend", "control"):
            followed = Event(event.kind, 0, event.number, event.value, channel + 1)
            if self._bends.follow(followed, self._own):
                semitones = self._bends.semitones[channel + 1]
                if abs(semitones) > self._reach[channel] - 0.1:
                    self._widen(channel, math.ceil(abs(semitones)) + 1)
                # FluidSynth takes 128ths of 12,700 cents for a semitone: a whole bend would fall short by 0.8 %
                value = min(max(semitones * 128.0 / 127.0 / self._reach[channel], -1.0), 1.0)
                self.synth.call("pitch_bend", channel, CENTRE + round(value * (CENTRE if value < 0 else REACH)))
            if self._bends.states_pitch(followed) or event.kind == "bend":
                return  # FluidSynth's own range stays
        match event.kind:
            case "on":
                self._on(channel, note, event)
            case "off":
                self._held.discard((channel, note))
                synth.call("noteoff", channel, note)
            case "control" if event.number == BANK and not self._all_drums and self._select_bank(channel, event.value):
                pass
            case "control" if event.number < 128:
                synth.call("cc", channel, note, _seven_bits(event.value))
                if note == RESET:
                    self._widen(channel, self._reach[channel])
                    self._trim(channel)
            case "program" if self._program < 0 and not self._all_drums:
                self._chosen[channel] = note
                self._change(channel)
            case "pitch":
                if (channel, note) in self._held:
                    self._tune(channel, note, event.value, sounding=True)
                else:
                    self._next[channel, note] = event.value

    def _select_bank(self, channel: int, bank: float) -> bool:
        """Handles a bank select that turns a channel into a rhythm part or back; returns whether it did."""
        chosen = _seven_bits(bank)
        rhythm = chosen != MELODIC if channel == DRUMS else chosen in RHYTHM
        if rhythm == (channel in self._rhythm):
            return rhythm
        (self._rhythm.add if rhythm else self._rhythm.discard)(channel)
        self.synth.call("bank_select", channel, DRUM_BANK if rhythm else 0)
        self._change(channel)
        return True

    def _change(self, channel: int) -> None:
        """Sets a channel's program; for a rhythm part, the font's first kit."""
        rhythm, program = channel in self._rhythm, self._chosen[channel]
        self.synth.call("set_channel_type", channel, int(rhythm))
        self.synth.call("program_change", channel, 0 if rhythm else program)
        self._programs[channel] = DRUM_KIT if rhythm else program

    def _trim(self, channel: int) -> None:
        self._trimmed[channel] = self._programs[channel]
        if trims := self._spares.trims:
            self.synth.call("set_gen", channel, ATTENUATION, 10.0 * (MAX_GAIN - trims[self._programs[channel]]))

    def _widen(self, channel: int, reach: int) -> None:
        """Sets FluidSynth's range of a channel, in whole semitones."""
        self._reach[channel] = min(reach, MAX_BEND)
        self.synth.call("pitch_wheel_sens", channel, self._reach[channel])

    def _on(self, channel: int, note: int, event: Event) -> None:
        velocity = event.value
        if event.age:
            if channel in self._rhythm:
                return
            velocity *= RESUME_VELOCITY
        self._tune(channel, note, self._next.pop((channel, note), 0.0), sounding=False)
        self._held.add((channel, note))
        if self._trimmed[channel] != self._programs[channel]:  # not at the change, which held notes outlast
            self._trim(channel)
        self.synth.call("noteon", channel, note, max(1, _seven_bits(velocity)))

    def _tune(self, channel: int, note: int, semitones: float, *, sounding: bool) -> None:
        """Tunes a key by semitones, for its next note, or with `sounding` also for the current one."""
        key = (channel, note)
        if channel in self._rhythm or self._tuned.get(key, 0.0) == semitones:
            return
        self._tuned[key] = semitones
        self._key[0], self._cents[0] = note, 100.0 * (note + semitones)
        self.synth.call("tune_notes", 0, channel, 1, self._key, self._cents, int(sounding))


def _seven_bits(value: float) -> int:
    return min(127, max(0, round(value * 127)))
