"""From one event to commands: a note with values of its own, its end, and the parameters of its orbit's effects.

Pure: event, orbit and time in, commands out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle

from antiphon.api import WireError
from antiphon.api.commands import Command, NoteOff, NoteOn, Sample, SetParam, When, play_commands
from antiphon.api.transports import Node
from antiphon_dirt.fields import DirtEvent
from antiphon_dirt.orbits import EFFECTS, Orbit

MIDDLE = 60.0
"""The note that plays a sample at its own pitch, as SuperDirt's `midinote`."""
MOST_SECONDS = 60.0
"""Longest time from an event's beginning to its end."""
MOST_GAIN, MOST_SPEED, MOST_CUT = 4.0, 16.0, 64
_PLAIN = {"begin": 1.0, "end": 1.0, "attack": 10.0, "release": 10.0, "pan": 1.0}
"""Fields that the sampler takes as they are, from 0 to their greatest value."""


class NoteNumbers:
    """NoteNumbers of notes in turn, so that an event's end ends that event and no other.

    A sampler takes no pitch from the number of a note that has values of its own.
    """

    def __init__(self) -> None:
        self._numbers = cycle(range(128))

    def next(self) -> int:
        """The next number, 0 to 127."""
        return next(self._numbers)


def commands(
    event: DirtEvent, orbit: Orbit, nodes: Mapping[str, Node], when: Sample, rate: int, bpm: float,
    numbers: NoteNumbers,
) -> list[Command]:  # fmt: skip
    """Makes the commands of an event.

    Args:
        event: The event.
        orbit: Where it plays.
        nodes: The patch's nodes, by name.
        when: Its beginning.
        rate: Samples per second.
        bpm: The tempo, for sounds that last as long as a cycle (`unit c`).
        numbers: Gives the note's number.

    Returns:
        Effects first, then the note, then its end where it has one.

    Raises:
        WireError: A value that the sampler does not take.
    """
    made: list[Command] = [*_effects(event, orbit, when)]
    if is_instrument(event.sound, orbit, nodes):
        return made + _pitched(event, event.sound, when, rate)
    params = nodes[orbit.node].info.params
    *values, note = play_commands(orbit.node, params, _values(event, params, bpm), when)
    assert isinstance(note, NoteOn)
    number = numbers.next()
    made += [*values, replace(note, note=number)]
    ends = length(event)
    if ends is not None:
        made.append(NoteOff(number, 1, orbit.node, _after(when, ends, rate)))
    return made


def is_instrument(sound: str, orbit: Orbit, nodes: Mapping[str, Node]) -> bool:
    """Whether a sound names another node of the patch, one that plays notes."""
    node = nodes.get(sound)
    return node is not None and sound != orbit.node and node.info.first("events", "in") is not None


def length(event: DirtEvent) -> float | None:
    """Seconds from the event's beginning to its end: `sustain`, or `legato` times `delta`; None to the sample's end."""
    if "sustain" in event.numbers:
        seconds = event.numbers["sustain"]
    elif "legato" in event.numbers:
        seconds = event.numbers["legato"] * event.number("delta", 1.0)
    else:
        return None
    return min(max(seconds, 0.0), MOST_SECONDS)


def _effects(event: DirtEvent, orbit: Orbit, when: When) -> list[SetParam]:
    sets: dict[tuple[str, str], SetParam] = {}
    for name, (node, param) in orbit.effects.items():
        effect = EFFECTS[name]
        if name not in event.numbers and (node, param) in sets:
            continue  # another field of the same parameter
        value = min(max(event.number(name, effect.neutral), effect.low), effect.high) * effect.factor
        sets[node, param] = SetParam(node, param, value, when=when)
    return list(sets.values())


def _values(event: DirtEvent, params: Sequence[object], bpm: float) -> list[object]:
    """The values of the note, as `/node/NAME/play` takes them."""
    speed = event.number("speed", 1.0)
    semitones = event.number("note", 0.0) + event.number("up", 0.0) + event.number("midinote", MIDDLE) - MIDDLE
    beats = 0.0
    if event.words.get("unit") == "c":
        cps = event.number("cps", 0.5)
        beats = bpm / 60.0 / (cps * abs(speed)) if cps > 0.0 and speed else 0.0
        speed = math.copysign(1.0, speed)
    values: dict[str, object] = {
        "s": event.sound,
        "n": int(max(0.0, event.number("n", 0.0)) % 10_000),
        "speed": _limit(speed * 2.0 ** (_limit(semitones, 96.0) / 12.0), MOST_SPEED),
        # SuperDirt's amplitude is the fourth power of gain
        "gain": min(max(0.0, event.number("gain", 1.0)) ** 4, MOST_GAIN),
        "cut": min(abs(int(_limit(event.number("cut", 0.0), MOST_CUT))), MOST_CUT),
    }
    if beats:
        values["beats"] = min(beats, 256.0)
    for name, high in _PLAIN.items():
        if name in event.numbers:
            values[name] = min(max(event.numbers[name], 0.0), high)
    return [item for pair in values.items() for item in pair]


def _pitched(event: DirtEvent, node: str, when: Sample, rate: int) -> list[Command]:
    """A sound that names a node which plays notes: `s "keys"` with `note`, `n` or `midinote`."""
    number = round(event.number("midinote", MIDDLE + event.number("note", event.number("n", 0.0))))
    number += round(event.number("up", 0.0))
    if not 0 <= number <= 127:
        raise WireError(f"{node} plays notes 0 to 127, not {number}")
    velocity = min(max(event.number("velocity", 0.8) * event.number("gain", 1.0), 0.01), 1.0)
    seconds = length(event)
    if seconds is None:
        seconds = min(event.number("delta", 0.5), MOST_SECONDS)
    return [
        NoteOn(number, velocity, 1, node, when),
        NoteOff(number, 1, node, _after(when, max(seconds, 0.01), rate)),
    ]


def _after(when: Sample, seconds: float, rate: int) -> Sample:
    return Sample(when.n + round(seconds * rate))


def _limit(value: float, most: float) -> float:
    return min(max(value, -most), most)
