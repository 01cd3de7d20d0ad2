"""Player of SuperDirt events: converts their fields to commands for the patch's orbits, at the event's sample.

The UDP and WebSocket ports share one, because note numbers and counters belong to the patch, not to a client.
"""

import math
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from types import MappingProxyType
from typing import Any

from antiphon.api import AntiphonError, Event, Param
from antiphon.api.backends.runtime import composed, instead, say
from antiphon.api.backends.transports import (
    Arg,
    Command,
    Node,
    Now,
    Panic,
    Play,
    RequestError,
    Sample,
    SetParam,
    TransportServer,
    When,
    WireError,
    note_params,
    plays,
)
from antiphon.kernel.session.play import is_held, read as play_commands

# ---- Fields of a `/dirt/play` message: names and values in turn, in any order, of mixed types
# Source: SuperDirt's API page and its used-parameters, and the messages of Tidal 1.7 to 1.10. An unknown name is
# ignored and counted; a value of the wrong type is left out, for Tidal sends the name of a control bus ("c1") in
# place of any number.

MAX_FIELDS = 128
"""Maximum names per event: SuperDirt knows about a hundred, and no pattern sends half of them."""
MAX_WORD = 256
"""Maximum characters of a name or a word."""
_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
ALIASES: Mapping[str, str] = _TABLES["aliases"]
"""Aliases of fields."""
WORDS = {name: frozenset(words) for name, words in _TABLES["words"].items()}
"""Text fields, with their allowed words; empty allows any."""
NUMBERS = frozenset(_TABLES["numbers"])
SILENT = frozenset({"_id_", "cycle", "nudge", "bank"})
"""Fields without an effect here: the name of a pattern, and data already in the time tag."""
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?")
_INDEX = re.compile(r"-?\d{1,5}(\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class DirtEvent:
    """Parsed fields of one event."""

    sound: str  # name of the sound, without the number behind a colon
    numbers: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def number(self, name: str, default: float) -> float:
        """Number of a field, or `default` if it was not sent."""
        return self.numbers.get(name, default)


def read(args: Sequence[Arg]) -> DirtEvent:
    """Reads the arguments of `/dirt/play`. Raises WireError: their number is odd or too large, or no sound is named."""
    if len(args) % 2:
        raise WireError(f"/dirt/play takes names and values in turn; it came with {len(args)}")
    if len(args) > 2 * MAX_FIELDS:
        raise WireError(f"/dirt/play takes at most {MAX_FIELDS} names; {len(args) // 2} were sent")
    numbers: dict[str, float] = {}
    words: dict[str, str] = {}
    ignored: list[str] = []
    for name, value in _pairs(args):
        number = _number(value) if name in NUMBERS else None
        if number is not None:
            numbers[name] = number
        elif name in WORDS and isinstance(value, str) and len(value) <= MAX_WORD and value in (WORDS[name] or {value}):
            words[name] = value
        elif name not in SILENT:
            ignored.append(name)
    sound = composed(words.pop("s", ""))
    # Sardine and others leave the number behind the colon in the name, also as "bd:2.0"; Tidal does not
    base, colon, index = sound.partition(":")
    if colon and _INDEX.fullmatch(index):
        sound = base
        numbers.setdefault("n", float(index))
    # Strudel sends the bank beside a name that begins with it
    bank = words.pop("bank", "")
    if bank and sound and not sound.startswith(bank):
        sound = f"{bank}_{sound}"
    if not sound:
        raise WireError("/dirt/play names no sound: s is missing")
    return DirtEvent(sound, numbers, words, tuple(ignored))


def _pairs(args: Sequence[Arg]) -> Iterable[tuple[str, Arg]]:
    for at in range(0, len(args), 2):
        name = args[at]
        if not isinstance(name, str) or len(name) > MAX_WORD:
            raise WireError(f"/dirt/play takes names and values in turn; the argument {at + 1} is no name")
        yield ALIASES.get(name, name), args[at + 1]


def _number(value: Arg) -> float | None:
    """Value as a number, parsed if it is text; None for anything else, such as a control bus name."""
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return None


# ---- Events to commands for the nodes of their orbit: a note with its own values, its end, effect parameters
# Pure: event, orbit and time in, commands out.

_ORBIT = re.compile(r"orbit(\d{1,3})")


@dataclass(frozen=True, slots=True)
class EffectField:
    """Parameter set by a field of an event: `NODE<orbit>.param`, or `NODE.param` if that node does not exist.

    `factor`, `offset`: the parameter's value is the field's times `factor` plus `offset`.
    """

    node: str  # the node's name without the orbit's number
    param: str
    neutral: float | None  # value in the field's unit where the event has none; None leaves the parameter as it is
    low: float = 0.0
    high: float = 1.0
    factor: float = 1.0
    offset: float = 0.0
    shared: bool = False  # whether a node of the name without a number is meant too, by all orbits


EFFECTS = MappingProxyType(
    {
        "room": EffectField("room", "gain", 0.0),
        "delay": EffectField("delay", "gain", 0.0),
        "size": EffectField("reverb", "size", None, factor=1.7, offset=0.3, shared=True),
        "delayfeedback": EffectField("echo", "feedback", None, high=0.95, shared=True),
        "lpf": EffectField("lpf", "cutoff", 20000.0, 20.0, 20000.0),
        "hpf": EffectField("hpf", "cutoff", 20.0, 20.0, 20000.0),
        # decibels of drive for SuperDirt's 0 to 1
        "shape": EffectField("shape", "drive", 0.0, factor=36.0),
        "distort": EffectField("shape", "drive", 0.0, factor=36.0),
    }
)
"""Fields that are parameters of an orbit's nodes, unless its notes have values of that name. They are set at an event's
start, for the whole orbit."""


@dataclass(frozen=True, slots=True)
class Orbit:
    """Nodes and parameters of one orbit."""

    number: int
    node: str  # name of the node that plays its samples
    effects: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    values: Mapping[str, Param] = field(default_factory=dict)


def orbits(nodes: Mapping[str, Node]) -> tuple[Orbit, ...]:
    """Orbits of a patch's nodes, in order; empty if no node plays samples."""
    players = [name for name, node in nodes.items() if plays(node.info)]
    numbered = sorted((int(found[1]), name) for name in players if (found := _ORBIT.fullmatch(name)))
    chosen = numbered or list(enumerate(players))
    return tuple(_orbit(place, name, number, nodes) for place, (number, name) in enumerate(chosen))


def _orbit(place: int, name: str, number: int, nodes: Mapping[str, Node]) -> Orbit:
    values = {param.name: param for param in note_params(nodes[name].info.params)}
    found = {}
    for key, effect in EFFECTS.items():
        node = nodes.get(f"{effect.node}{number}") or (nodes.get(effect.node) if effect.shared else None)
        # distort is the notes' shape where they have one
        own = key in values or (key == "distort" and "shape" in values)
        if node is not None and effect.param in node.index and not own:
            found[key] = (node.name, effect.param)
    return Orbit(place, name, found, values)


MIDDLE, MIDDLE_HERTZ, MIDDLE_OCTAVE = 60.0, 261.6255653, 5.0
"""Note, frequency and octave that play a sample at its own pitch, as SuperDirt's `midinote`, `freq`, `octave`."""
MAX_SECONDS = 60.0
"""Maximum seconds from an event's beginning to its end."""
MAX_GAIN, MAX_OVERGAIN, AMPLITUDE = 2.0, 2.0, 0.4
"""Maximum of SuperDirt's `gain`; maximum `overgain` here; default `amp`."""
MAX_SEMITONES = 96.0
_PLAIN = ("begin", "end", "attack", "release", "pan", "accelerate", "lpf", "resonance", "hpf", "hresonance", "bandf",
          "bandq", "shape", "crush", "coarse")  # fmt: skip
"""Fields passed on unchanged to notes, within the range of their parameter."""


def commands(
    event: DirtEvent,
    orbit: Orbit,
    nodes: Mapping[str, Node],
    when: Sample,
    rate: int,
    bpm: float,
    numbers: Iterator[int],
) -> list[Command]:
    """Commands of an event.

    `rate`: samples per second. `bpm`: the tempo, for sounds that last as long as a cycle (`unit c`). `numbers`: of
    notes, 0 to 127, which a sampler ignores for a note with its own values: an end ends that event alone. Raises
    RequestError: the sampler rejects a value.
    """
    made: list[Command] = [*_effect_parameter_commands(event, orbit, when)]
    if is_instrument(event.sound, orbit, nodes):
        return made + _note_commands(event, event.sound, when, rate)
    values = _values(event, orbit, bpm)
    *controls, note = play_commands(orbit.node, nodes[orbit.node].info.params, values, when)
    assert isinstance(note, Play)
    number = next(numbers)
    made += [*controls, replace(note, event=replace(note.event, number=number))]
    ends = length(event)
    if ends is not None and "sustain" not in orbit.values:
        made.append(Play(orbit.node, Event("off", 0, number), _after(when, ends, rate)))
    return made


def is_instrument(sound: str, orbit: Orbit, nodes: Mapping[str, Node]) -> bool:
    """True if a sound names another node of the patch that plays notes."""
    node = nodes.get(sound)
    return node is not None and sound != orbit.node and node.info.first("events", "in") is not None


def length(event: DirtEvent) -> float | None:
    """Seconds from the event's start to its end; None to play the sample to its end.

    It is `sustain`, or `legato` times `delta`, 1 for a synth's sound; at most `attack` plus `hold`, if `hold` is sent.
    """
    seconds = math.inf
    if "sustain" in event.numbers:
        seconds = event.numbers["sustain"]
    elif "legato" in event.numbers:
        seconds = event.numbers["legato"] * event.number("delta", 1.0)
    elif is_held(event.sound):
        seconds = event.number("delta", math.inf)
    if "hold" in event.numbers:
        seconds = min(seconds, event.number("attack", 0.0) + event.numbers["hold"])
    return min(max(seconds, 0.0), MAX_SECONDS) if seconds < math.inf else None


def _effect_parameter_commands(event: DirtEvent, orbit: Orbit, when: When) -> list[SetParam]:
    sets: dict[tuple[str, str], SetParam] = {}
    for name, (node, param) in orbit.effects.items():
        effect = EFFECTS[name]
        if name not in event.numbers and (effect.neutral is None or (node, param) in sets):
            continue  # it stays as it is, or is another field's
        value = event.numbers.get(name, effect.neutral)
        assert value is not None
        value = min(max(value, effect.low), effect.high) * effect.factor + effect.offset
        sets[node, param] = SetParam(node, param, value, when=when)
    return list(sets.values())


def _values(event: DirtEvent, orbit: Orbit, bpm: float) -> list[object]:
    """Values of the note, as arguments of `/node/NAME/play`."""
    n = int(math.fmod(event.number("n", 0.0), 10_000))
    values: dict[str, object] = {"s": event.sound, "n": max(0, n), **({"fromend": -n} if n < 0 else {})}
    speed = event.number("speed", 1.0)
    if event.words.get("unit") == "c":
        # the whole sample lasts a cycle, a part of it that share
        cps, part = event.number("cps", 0.5), abs(event.number("end", 1.0) - event.number("begin", 0.0))
        if cps > 0.0 and speed:
            values["beats"] = bpm / 60.0 * min(part, 1.0) / (cps * abs(speed))
            speed = math.copysign(1.0, speed)
    values["speed"] = speed * 2.0 ** (_semitones(event) / 12.0)
    values["gain"] = _gain(event)
    values["cut"] = abs(int(event.number("cut", 0.0)))
    if "loop" in event.numbers:
        values["repeats"] = int(abs(event.numbers["loop"]))
    if "distort" in event.numbers:
        values["shape"] = event.numbers["distort"]
    ends = length(event)
    if ends is not None:
        # 0 would be the sample's end
        values["sustain"] = max(ends, 1e-3)
    values.update((name, event.numbers[name]) for name in _PLAIN if name in event.numbers)
    if "vowel" in event.words:
        values["vowel"] = event.words["vowel"]
    return [item for name, value in values.items() for item in _clip_to_range(name, value, orbit)]


def _clip_to_range(name: str, value: object, orbit: Orbit) -> tuple[object, ...]:
    """A name and its value clipped to its parameter's range; empty if the orbit's notes have no such value."""
    param = orbit.values.get(name)
    if param is None:
        return ()
    if isinstance(value, int | float):
        value = type(value)(min(max(value, param.low), param.high))
    return name, value


def _semitones(event: DirtEvent) -> float:
    semitones = event.number("note", 0.0) + event.number("up", 0.0) + event.number("midinote", MIDDLE) - MIDDLE
    semitones += 12.0 * (event.number("octave", MIDDLE_OCTAVE) - MIDDLE_OCTAVE)
    if event.number("freq", 0.0) > 0.0:
        semitones += 12.0 * math.log2(event.numbers["freq"] / MIDDLE_HERTZ)
    return min(max(semitones, -MAX_SEMITONES), MAX_SEMITONES)


def _gain(event: DirtEvent) -> float:
    """Linear gain: SuperDirt's amplitude, the fourth power of `gain`, relative to an event without `amp`."""
    gain = min(max(event.number("gain", 1.0), 0.0), MAX_GAIN)
    gain += min(max(event.number("overgain", 0.0), 0.0), MAX_OVERGAIN)
    return gain**4 * max(event.number("amp", AMPLITUDE), 0.0) / AMPLITUDE


def _note_commands(event: DirtEvent, node: str, when: Sample, rate: int) -> list[Command]:
    """Commands of a sound that names a note-playing node: `s "keys"` with `note`, `n` or `midinote`."""
    number = round(event.number("midinote", MIDDLE + event.number("note", event.number("n", 0.0))))
    number += round(event.number("up", 0.0))
    if not 0 <= number <= 127:
        raise RequestError(f"{node} plays notes 0 to 127, not {number}")
    velocity = min(max(event.number("velocity", 0.8) * event.number("gain", 1.0), 0.01), 1.0)
    seconds = length(event)
    if seconds is None:
        seconds = min(event.number("delta", 0.5), MAX_SECONDS)
    on, off = Event("on", 0, number, velocity), Event("off", 0, number)
    return [Play(node, on, when), Play(node, off, _after(when, max(seconds, 0.01), rate))]


def _after(when: Sample, seconds: float, rate: int) -> Sample:
    return Sample(when.n + round(seconds * rate))


MAX_NAMES = 64
"""Maximum names counted and reported separately; further ones share a count, and are not reported."""
MAX_SHOWN_LETTERS = 40
"""Maximum characters of a name in a sentence."""
OTHERS = "others"


class UnknownSounds:
    """Counter of requested sounds that were not found. `counts`: number of requests, by name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def clear(self) -> None:
        """Clears the names, for another patch."""
        self.counts.clear()

    def note(self, node: str, sound: str, known: Sequence[str]) -> str:
        """Counts an unknown sound; returns a sentence with the nearest names the first time, "" afterwards."""
        name = sound if len(sound) <= MAX_SHOWN_LETTERS else f"{sound[: MAX_SHOWN_LETTERS - 3]}..."
        if name not in self.counts and len(self.counts) >= MAX_NAMES:
            name = OTHERS
        self.counts[name] += 1
        if self.counts[name] > 1 or name == OTHERS:
            return ""
        return f"{node} has no sound {name!r}, and its events are silent{instead(sound, known)}"


SOURCE = "dirt"
PLAY = ("/dirt/play", "/play2")
PANIC = "superpanic"
SAY_SECONDS = 10.0
"""Minimum seconds between sentences about the same kind of error."""
LINE_SECONDS = 1.0
"""Minimum seconds between two sentences about refused messages, of any kind."""
_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|-?[0-9][0-9.e+-]*|nan|inf")
"""Variable parts of error reasons, removed to group them by kind."""
MAX_KINDS = 64
"""Maximum names counted separately; further ones share a count."""


class DirtPlayer:
    """Plays events on the orbits of the patch, and counts refused and omitted ones."""

    def __init__(self, server: TransportServer) -> None:
        self.server = server
        self.received = self.played = self.refused = 0
        self.ignored: Counter[str] = Counter()
        self.unknown = UnknownSounds()
        self._numbers = cycle(range(128))
        self._said: dict[str, float] = {}
        self._line = -LINE_SECONDS
        self._nodes: Mapping[str, Node] = {}
        self._orbits: tuple[Orbit, ...] = ()

    def figures(self) -> dict[str, Any]:
        """Figures for `/api/status`."""
        return {
            "received": self.received,
            "played": self.played,
            "refused": self.refused,
            "ignored": dict(self.ignored.most_common(8)),
            "unknown": dict(self.unknown.counts.most_common(8)),
            "orbits": [orbit.node for orbit in self._orbits],
        }

    def attempt(self, work: Callable[[], None]) -> None:
        """Handles one packet by `work`: counts and prints a refusal, and logs any other exception."""
        self.received += 1
        try:
            work()
        except AntiphonError as error:
            self._refuse(str(error))
        except Exception as error:
            self.refused += 1
            self.server.fault("an event of a client of SuperDirt", error)

    def play(self, args: Sequence[Arg], when: Now | Sample) -> None:
        """Plays the arguments of `/dirt/play`."""
        event = read(args)
        if event.sound == PANIC:
            self.server.do(Panic(), SOURCE)
            return
        for name in event.ignored:
            self.count(name)
        if not self._orbits:
            raise RequestError("the patch has no node that plays samples; load one with a sampler, for example tidal")
        orbit = self._orbits[int(event.number("orbit", 0.0)) % len(self._orbits)]
        if not self._has(orbit, event.sound):
            return
        at = when if isinstance(when, Sample) else Sample(int(self.server.moment().sample) + self.server.block)
        made = commands(event, orbit, self._nodes, at, self.server.rate, self.server.tempo()[1], self._numbers)
        for command in made:
            self.server.do(command, SOURCE)
        self.played += 1

    def find_orbits(self) -> None:
        """Updates the orbits after a patch change, once for all packets of a turn of the event loop."""
        nodes = self.server.nodes()
        if [node.id for node in nodes.values()] != [node.id for node in self._nodes.values()]:
            self._orbits = orbits(nodes)
            self.unknown.clear()
        self._nodes = nodes

    def count(self, name: str) -> None:
        """Counts a name that is left out."""
        self.ignored[name if name in self.ignored or len(self.ignored) < MAX_KINDS else "others"] += 1

    def _has(self, orbit: Orbit, sound: str) -> bool:
        """True if a sound exists or may exist: a node's sample names are known only some time after its start."""
        known = self._nodes[orbit.node].vocabulary.get("s", ())
        if not known or sound in known or is_instrument(sound, orbit, self._nodes):
            return True
        sentence = self.unknown.note(orbit.node, sound, known)
        if sentence:
            say(f"{SOURCE}: {sentence}")
        return False

    def _refuse(self, reason: str) -> None:
        """Counts a refusal; prints each kind at most once in `SAY_SECONDS`, any once in `LINE_SECONDS`."""
        self.refused += 1
        now = self.server.now_ns() / 1e9
        if len(self._said) > MAX_KINDS:
            self._said.clear()
        kind = _VALUE.sub("", reason)
        if now - self._line >= LINE_SECONDS and now - self._said.get(kind, -SAY_SECONDS) >= SAY_SECONDS:
            self._said[kind] = self._line = now
            say(f"{SOURCE}: {reason}")
