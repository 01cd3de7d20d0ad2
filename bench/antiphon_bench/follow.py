"""`bench follow`: time from a beat that comes early until the clock of the node `follow` goes another way for it.

The node plays two performances of one player, whose last beat is early in the second. Until they sound different its
outputs are the same; where they part, the clock has taken the beat. Rendered, so that a busy machine changes nothing.
"""

from collections.abc import Callable

import numpy as np

from antiphon.api import F64, Event, Samples, StreamSpec
from antiphon.api.backends.rendering import load_plugins
from antiphon.api.testing import render
from antiphon_bench.report import finish, percentiles, table

RATE, BLOCK = 48000, 256
BPM, RANGE, BEATS, EARLY = 100.0, "70-180", 24, 0.05
"""Tempo, range without its half and double, beats until the one that is early, and seconds by which it is."""
CHORD = (48, 64, 67)

Play = Callable[[F64], tuple[Samples, list[Event]]]
"""Sound and notes of beats at these seconds."""


def main(count: int, seed: int) -> None:
    """Runs the bench with so many performances of each kind."""
    rng = np.random.default_rng(seed)
    rows = {name: [latency(play, float(rng.uniform(0.2, 0.8))) for _ in range(count)] for name, play in KINDS.items()}
    found = {name: percentiles(values) for name, values in rows.items()}
    table(
        f"{count} performances at {BPM:g} bpm, blocks of {BLOCK}: from the beat until the clock differs, ms",
        ("player", "p50", "max"),
        [(name, one["p50"], one["max"]) for name, one in found.items()],
    )
    finish("follow", {"seed": seed, "latency": found})


def latency(play: Play, begin: float) -> float:
    """Milliseconds from the early beat of a player who begins at `begin` seconds to the end of the block that knows it.

    NaN: nothing differed.
    """
    beats: F64 = np.asarray(begin + 60.0 / BPM * np.arange(BEATS + 1), np.float64)
    early = beats.copy()
    early[-1] -= EARLY
    one, other = (_ramp(*play(at)) for at in (beats, early))
    parted = np.flatnonzero(np.abs(one - other) > 1e-6)
    known = (parted[0] // BLOCK + 1) * BLOCK / RATE if len(parted) else float("nan")
    return 1000.0 * float(known - early[-1])


def _ramp(sound: Samples, notes: list[Event]) -> Samples:
    node, settings = load_plugins(check=False).make("follow"), {"range": RANGE}
    ramp: Samples = render(node, StreamSpec(RATE, BLOCK, 1), sound, settings, notes=notes).audio[0][0]
    return ramp


def _silence(beats: F64) -> Samples:
    return np.zeros((1, round((beats[0] + 60.0 / BPM * (BEATS + 1)) * RATE)), np.float32)


def keys(beats: F64) -> tuple[Samples, list[Event]]:
    """Chords of a keyboard."""
    notes = [Event("on", round(float(at) * RATE), key, 0.7) for at in beats for key in CHORD]
    return _silence(beats), notes


def drums(beats: F64) -> tuple[Samples, list[Event]]:
    """Bass drum and snare in turn, as sound."""
    sound, size = _silence(beats), RATE // 5
    time = np.arange(size) / RATE
    noise = np.random.default_rng(1).standard_normal(size)
    for place, at in enumerate(beats):
        stroke = np.sin(2.0 * np.pi * 60.0 * time) if place % 2 == 0 else noise
        part = sound[0, round(float(at) * RATE) :][:size]
        part += (0.4 * np.exp(-30.0 * time) * stroke)[: len(part)].astype(np.float32)
    return sound, []


KINDS: dict[str, Play] = {"keys, MIDI": keys, "drums, sound": drums}
