"""Converts notes to messages for scsynth: SynthDef, node, frame. It uses no socket and no clock.

A `NodeVoices` belongs to one synth node: it allocates voices to notes, holds them by the pedal, steals and chokes them,
and gives times as frames of JACK's clock, for which our SynthDefs wait.
"""

import math
import struct
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from antiphon.api import PEDAL, EngineError, Event
from antiphon.api.backends import transports as osc
from antiphon.api.backends.files import built_in_folder
from antiphon.api.backends.synths import (
    FIRST_DIAL,
    ChannelBends,
    NamedValues,
    NoteShapes,
    SynthSettings,
    parse_controls,
    pressure_gain,
)
from antiphon.synths.processor import RESERVED
from antiphon_supercollider.voices.material import NOTHING, VoiceAssets, built_in, find_definition


class Template:
    """Message with fixed address and names; its numbers are written into the bytes by position."""

    def __init__(self, *message: osc.Arg) -> None:
        self._bytes = bytearray(osc.encode(str(message[0]), *message[1:]))
        at = (len(str(message[0]).encode()) + 4) & -4
        at += (len(message) + 4) & -4  # the tags: a comma, one each, a zero
        self.ints: list[int] = []
        self.floats: list[int] = []
        for arg in message[1:]:
            if isinstance(arg, str):
                at += (len(arg.encode()) + 4) & -4
                continue
            (self.floats if isinstance(arg, float) else self.ints).append(at)
            at += 4
        if at != len(self._bytes):
            raise ValueError("a template takes int, float and str alone")

    def set(self, place: int, value: float) -> None:
        """Sets the float at a position among the floats, permanently."""
        struct.pack_into(">f", self._bytes, self.floats[place], value)

    def set_int(self, place: int, value: int) -> None:
        """Sets the int at a position among the ints, permanently."""
        struct.pack_into(">i", self._bytes, self.ints[place], value)

    def fill(self, node: int, values: Sequence[float], first: int = 0) -> bytes:
        """Writes the node's number and, from float `first` on, `values` into the message; returns a copy of its bytes.

        The other floats stay as they were set last.
        """
        data, at = self._bytes, self.floats
        struct.pack_into(">i", data, self.ints[0], node)
        for n, value in enumerate(values, first):
            struct.pack_into(">f", data, at[n], value)
        return bytes(data)


def moment(frame: int) -> tuple[float, float]:
    """Converts a frame to two float controls, low and high; (-1, 0) means at once, or never."""
    return (float(frame & 0xFFFFFF), float(frame >> 24)) if frame >= 0 else (-1.0, 0.0)


# ---- Drum kit: SynthDef and controls of each key


@dataclass(frozen=True, slots=True)
class Drum:
    """Definition of a key of the kit. `controls`: besides the voice's own."""

    definition: str
    controls: tuple[tuple[str, float], ...]
    choke: int


@cache
def kit() -> dict[int, Drum]:
    """Drums by key, from `synthdefs.toml`. Raises EngineError: it cannot be read."""
    path = built_in_folder("supercollider") / "synthdefs.toml"
    try:
        read = tomllib.loads(path.read_text("utf-8"))["kit"]
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(f"the drum map of the SynthDefs cannot be read: {error}") from error
    result = {}
    for key, row in read.items():
        controls = tuple((k, float(v)) for k, v in row.items() if k not in ("def", "name", "choke"))
        result[int(key)] = Drum(str(row["def"]), controls, int(row.get("choke", 0)))
    return result


VOLUME, EXPRESSION, SOUND_OFF, RESET, NOTES_OFF = 7, 11, 120, 121, 123
IMMEDIATE = -1
AGAIN_ATTACK = 0.05
"""Attack in seconds of a resumed note, long enough not to sound struck again."""
HIGH_RELEASE = 1.2
"""Seconds of release of a piano note above `DAMPED`, whose strings have no dampers."""
DAMPED = 88
QUIET = -96.0

SendPacket = Callable[[int, bytes], None]
"""Callback with the number of the node the packet creates, or 0, and the packet."""
DECAY_SECONDS = {"piano": 12.0, "bass": 12.0, "pluck": 4.0, "drums": 0.5}
"""Decay time in seconds of middle C by about 60 dB, for the level of a resumed note."""
QUIET_AGAIN = -50.0


_CONTROLS = ("note", "velocity", "start", "start_high", "seed", "bend", "gain", "attack", "release", "clock", "out")
_DEFAULTS = {"piano": (0.002, 0.3), "bass": (0.003, 0.12), "pad": (0.35, 1.2), "pluck": (0.002, 0.25),
             "strings": (0.09, 0.45), "drums": (0.0005, 0.05), "electric_piano": (0.002, 0.25), "organ": (0.004, 0.03),
             "sampler": (0.0005, 0.3), "grains": (0.05, 0.3)}  # fmt: skip
"""Attack and release of each instrument, as in `synthdefs.toml`."""


@dataclass(slots=True)
class ScVoice:
    note: int
    channel: int
    start: int
    choke: int = 0
    gain: float = 0.0
    drum: bool = False
    pitch: float = 0.0
    pressed: float = 0.0
    """Gain in dB by the key's pressure."""


@dataclass(slots=True)
class _Channel:
    pedal: bool = False
    volume: float = 1.0
    expression: float = 1.0
    pedalled: set[int] = field(default_factory=set)

    @property
    def gain(self) -> float:
        """Gain in dB."""
        level = self.volume * self.expression
        return max(QUIET, 40.0 * math.log10(level)) if level > 0.0 else QUIET


class VoicePlace(NamedTuple):
    """Groups, buses and numbers in scsynth of a node's voices."""

    rate: int  # Hz
    group: int
    out: int  # their first audio bus
    clock: int  # bus of the clock
    nodes: Iterator[int]  # unused numbers for voices


class NodeVoices:
    """Notes of one synth node. `litter`: groups of ended voices, for `sweep`."""

    level, closes = "gain", "gate"
    """Control names of a voice's level, and of its gate, which fades the voice out when below 0."""
    beside = 0
    """Offset from a voice's number to the synth with these controls, and `stop`, `cut`, `gate`."""
    whole = 0
    """Offset from a voice's number to the node freed."""

    def __init__(self, settings: SynthSettings, place: VoicePlace, material: VoiceAssets = NOTHING) -> None:
        self.settings = settings
        self._rate, self.group, self._out, self._clock, self._nodes = place
        self._voices: dict[int, ScVoice] = {}
        self._alive: dict[int, None] = {}  # voices that count towards the limit
        self._held: dict[tuple[int, int], int] = {}
        self._channels: dict[int, _Channel] = {}
        self._bends = ChannelBends()
        self._templates: dict[str, Template] = {}
        self._free = Template("/n_free", 0)
        self._material, self._asked = material, parse_controls(settings.controls)
        self._extra = {**dict(self._asked.fixed), **{dial.name: dial.low for dial in self._asked.dials}}
        self.litter: list[int] = []
        self._shapes, self._values = NoteShapes(), NamedValues()
        self._shape()
        self._drum_kit = kit() if settings.instrument == "drums" else {}
        self._seed = settings.seed
        if settings.instrument not in _DEFAULTS:
            raise EngineError(f"scsynth plays no {settings.instrument!r}; it plays {', '.join(_DEFAULTS)}")

    def _shape(self) -> None:
        self._stop = Template("/n_set", 0, "stop", 0.0, "stop_high", 0.0)
        self._cut = Template("/n_set", 0, "cut", 0.0, "cut_high", 0.0)
        self._gate = Template("/n_set", 0, "gate", 0.0)

    def end_voice(self, node: int) -> None:
        """Handles a voice freed or never created by scsynth."""
        voice = self._voices.pop(node, None)
        if voice is not None:
            self._let_go(node, voice)

    def _let_go(self, node: int, voice: ScVoice) -> None:
        """Counts a voice no more, and takes it from its key and from the pedal."""
        self._alive.pop(node, None)
        key = (voice.channel, voice.note)
        if self._held.get(key) == node:
            del self._held[key]
        self._of(voice.channel).pedalled.discard(node)

    def play(self, events: Sequence[Event], frame: int, now: int, send: SendPacket) -> None:
        """Plays the events of a hop from JACK frame `frame`; events before `now` are late. `send` gets the packets."""
        for event in events:
            at = IMMEDIATE if event.live else frame + event.offset
            if event.kind in ("bend", "control") and self._bends.follow(event, self.settings.bend):
                for node, voice in self._voices.items():
                    if voice.channel == event.channel:
                        self._pitch(node, voice, send)
            match event.kind:
                case "on":
                    self._on(event, at, send)
                case "off":
                    self._off(event, at, frame + event.offset, now, send)
                case "control" if not self._values.take(event):
                    self._control(event, at, send)
                case "pitch" | "pressure" | "timbre":
                    self._own(event, send)

    def sweep(self, send: SendPacket) -> None:
        """Frees the remaining groups of ended voices."""
        for node in self.litter:
            send(0, self._free.fill(node, ()))
        self.litter.clear()

    def _pitch(self, node: int, voice: ScVoice, send: SendPacket) -> None:
        """Sends a voice's pitch bend: the sum of the channel's and its own."""
        send(0, osc.encode("/n_set", node, "bend", float(self._semitones_of(voice))))

    def _semitones_of(self, voice: ScVoice) -> float:
        return self._bends.semitones[voice.channel] + voice.pitch

    def _own(self, event: Event, send: SendPacket) -> None:
        """Sets an expression value of a sounding or later note."""
        node = self._held.get((event.channel, event.number), -1)
        voice = self._voices.get(node)
        if voice is None:
            self._shapes.put(event.kind, event.number, event.channel, event.value)
        elif event.kind == "pitch":
            voice.pitch = event.value
            self._pitch(node, voice, send)
        elif event.kind == "pressure":
            voice.pressed = pressure_db(event.value)
            gain = self._of(voice.channel).gain + voice.gain + voice.pressed
            send(0, osc.encode("/n_set", node + self.beside, self.level, gain))

    def _of(self, channel: int) -> _Channel:
        state = self._channels.get(channel)
        if state is None:
            state = self._channels[channel] = _Channel()
        return state

    def _on(self, event: Event, at: int, send: SendPacket) -> None:
        instrument, channel = self.settings.instrument, self._of(event.channel)
        drum = self._drum_kit.get(event.number)
        faded = self._note_decay(event)
        if faded < QUIET_AGAIN or (self._drum_kit and drum is None):
            return
        given = dict(drum.controls) if drum is not None else {}
        if self._material.buffer >= 0:
            given["buffer"] = float(self._material.buffer)
        key = (event.channel, event.number)
        shape = self._shapes.take(event.number, event.channel)
        if drum is None:
            self._strike(key, channel, at, send)
        choke = drum.choke if drum is not None else 0
        if choke:
            for node in [n for n in self._alive if self._voices[n].choke == choke]:
                self._take(node, at, send)
        while len(self._alive) >= self.settings.voices:
            self._take(self._victim(), at, send)
        node, own_gain, pitch = next(self._nodes), given.pop("gain", 0.0), given.pop("note", None)
        attack, release = _DEFAULTS[instrument]
        louder = pressure_db(shape.pressure)
        if event.age > 0:
            attack = max(attack, AGAIN_ATTACK)
        if instrument == "piano" and event.number > DAMPED:
            release = HIGH_RELEASE
        self._seed = (self._seed * 16807 + 1) % 16777213
        # a drum without a pitch in the kit keeps its definition's
        unpitched = drum is not None and pitch is None
        name = drum.definition if drum is not None else built_in(instrument, self._material.channels)
        own = self._values.take_named(event.channel, set(find_definition(name).controls) - RESERVED)
        attack, release = own.pop("attack", attack), own.pop("release", release)
        values = (
            event.number if pitch is None else pitch,
            max(1.0, event.value * 127.0),
            *moment(at),
            self._seed,
            self._bends.semitones[event.channel] + shape.pitch,
            channel.gain + own_gain + faded + louder,
            attack,
            release,
            self._clock,
            self._out,
        )
        self._voices[node] = ScVoice(
            event.number, event.channel, at, choke, own_gain, drum is not None, shape.pitch, louder
        )
        self._alive[node] = None
        self._held[key] = node
        template = self._template(name, tuple(given.items()), unpitched)
        packet = template.fill(node, values[unpitched:])
        if event.age > 0 and instrument == "sampler":
            # a sound that was played up to there continues from there
            own["offset"] = own.get("offset", self._extra.get("offset", 0.0)) + event.age / self._rate
        if own:
            # no template has values of its own
            named = dict(list(zip(_CONTROLS, values, strict=True))[unpitched:])
            flat = [word for item in {**named, **given, **self._extra, **own}.items() for word in item]
            packet = osc.encode("/s_new", name, node, 1, self.group, *flat)
        send(node, packet)

    def _strike(self, key: tuple[int, int], channel: _Channel, at: int, send: SendPacket) -> None:
        """Ends the key's sounding note, held by key or pedal, before another."""
        old = self._held.pop(key, -1)
        if old < 0:
            old = next((n for n in channel.pedalled if self._voices[n].note == key[1]), -1)
        if old in self._voices:
            self._take(old, at, send)

    def _note_decay(self, event: Event) -> float:
        """Decay in dB of a resumed note since its start."""
        t60 = DECAY_SECONDS.get(self.settings.instrument, 0.0)
        if not event.age or not t60:
            return 0.0
        if not self._drum_kit:
            t60 *= 2.0 ** ((60 - event.number) / 18.0)
        return -60.0 * event.age / (t60 * self._rate)

    def _template(self, name: str, given: tuple[tuple[str, float], ...], unpitched: bool) -> Template:
        key = f"{name}{unpitched}{given}"
        template = self._templates.get(key)
        if template is None:
            flat: list[osc.Arg] = []
            for control in _CONTROLS[1:] if unpitched else _CONTROLS:
                flat += [control, 0.0]
            for control, value in given:
                flat += [control, float(value)]
            for control, value in self._extra.items():
                flat += [control, value]
            template = self._templates[key] = Template("/s_new", name, 0, 1, self.group, *flat)
        return template

    def _turn(self, number: int, place: float, send: SendPacket) -> None:
        """Sets a controller, for sounding and later voices."""
        if number >= len(self._asked.dials):
            return
        dial = self._asked.dials[number]
        value = self._extra[dial.name] = dial.value(place)
        back = len(self._extra) - list(self._extra).index(dial.name)
        for template in self._templates.values():
            template.set(len(template.floats) - back, value)
        send(0, osc.encode("/n_set", self.group, dial.name, value))

    def _off(self, event: Event, at: int, timed: int, now: int, send: SendPacket) -> None:
        node = self._held.pop((event.channel, event.number), -1)
        voice = self._voices.get(node)
        if voice is None or voice.drum:
            return
        if self._of(event.channel).pedal:
            self._of(event.channel).pedalled.add(node)
            return
        if at == IMMEDIATE and voice.start > now:
            at = max(timed, voice.start + 1)
        self._release_voice(node, voice, at, send)

    def _release_voice(self, node: int, voice: ScVoice, at: int, send: SendPacket) -> None:
        self._alive.pop(node, None)
        if at == IMMEDIATE:
            send(0, self._gate.fill(node + self.beside, (0.0,)))
        else:
            send(0, self._stop.fill(node + self.beside, moment(at)))

    def _take(self, node: int, at: int, send: SendPacket) -> None:
        """Steals a voice: fades it out in 10 ms; one that has not begun never sounds."""
        voice = self._voices[node]
        self._let_go(node, voice)
        if at != IMMEDIATE and voice.start >= at:
            send(0, self._free.fill(node + self.whole, ()))
        elif at == IMMEDIATE:
            send(0, self._gate.fill(node + self.beside, (-1.0,)))
        else:
            send(0, self._cut.fill(node + self.beside, moment(at)))

    def _victim(self) -> int:
        """The voice to steal: the oldest that only the pedal holds, else the oldest."""
        for channel in self._channels.values():
            if channel.pedalled:
                return min(channel.pedalled)
        return next(iter(self._alive))

    def _control(self, event: Event, at: int, send: SendPacket) -> None:
        channel = self._of(event.channel)
        match event.number:
            case n if n >= FIRST_DIAL:
                self._turn(n - FIRST_DIAL, event.value, send)
            case n if n == PEDAL:
                channel.pedal = event.value >= 0.5
                if not channel.pedal:
                    self._release(sorted(channel.pedalled), at, send)
                    channel.pedalled.clear()
            case n if n in (VOLUME, EXPRESSION):
                if n == VOLUME:
                    channel.volume = event.value
                else:
                    channel.expression = event.value
                for node, voice in self._voices.items():
                    if voice.channel == event.channel:
                        gain = channel.gain + voice.gain + voice.pressed
                        send(0, osc.encode("/n_set", node + self.beside, self.level, gain))
            case n if n == SOUND_OFF:
                for node in [k for k, v in self._voices.items() if v.channel == event.channel]:
                    self._take(node, at, send)
            case n if n == NOTES_OFF:
                held = [node for key, node in self._held.items() if key[0] == event.channel]
                self._release([*held, *sorted(channel.pedalled)], at, send)
                channel.pedalled.clear()
                for key in [k for k in self._held if k[0] == event.channel]:
                    del self._held[key]
            case n if n == RESET:
                self._control(Event("control", event.offset, PEDAL, 0.0, event.channel), at, send)
                channel.volume, channel.expression = 1.0, 1.0

    def _release(self, nodes: Sequence[int], at: int, send: SendPacket) -> None:
        for node in nodes:
            voice = self._voices.get(node)
            if voice is not None and not voice.drum and node in self._alive:
                self._release_voice(node, voice, at, send)

    def playing(self, event: Event) -> int:
        """Voice that plays the note begun by `event`; -1 for none."""
        return self._held.get((event.channel, event.number), -1) if event.kind == "on" else -1

    def end_wrong_voice(self, node: int, send: SendPacket) -> None:
        """Ends a voice that was started wrongly."""
        if node in self._voices:
            self._take(node, IMMEDIATE, send)

    def forget(self) -> None:
        """Clears all voices, because their scsynth has ended; resent notes create new ones."""
        self._voices.clear()
        self._alive.clear()
        self._held.clear()
        self._channels.clear()
        self._shapes.clear()
        self.litter.clear()


def pressure_db(pressure: float) -> float:
    """Gain in dB of a pressure."""
    return 20.0 * math.log10(pressure_gain(pressure))
