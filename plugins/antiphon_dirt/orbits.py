"""Mapping of orbits to nodes of the patch: the sampler, and the parameters of the effects.

By the nodes' names: the sampler of orbit 2 is `orbit2`, its reverb send `room2`, its delay send `delay2`, and unless
its notes have their own its filters `lpf2` and `hpf2`, its distortion `shape2`. In a patch without such names the
orbits are its sample-playing nodes, in the patch's order. Orbit numbers wrap around, as SuperDirt's do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from antiphon.api import Param
from antiphon.api.backends.transports import Node, note_params, plays

_ORBIT = re.compile(r"orbit(\d{1,3})")


@dataclass(frozen=True, slots=True)
class EffectField:
    """Parameter set by a field of an event: `NODE<orbit>.param`, or `NODE.param` if there is no such node.

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
