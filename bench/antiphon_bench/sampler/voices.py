"""Cost of 64 voices, onsets in frames, and starts a second, of one node with the kit that ships.

The node is called as the engine calls it, without a device. Processor time is what the thread itself used; the time by
the clock holds what other programs took as well. A sine by the node `tone`, and as many voices mixed by numpy, are
measured in the same run, block by block in turn.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from antiphon.api import Event, Processor, Samples, StreamSpec
from antiphon.api.jobs import prepare_processor
from antiphon.kernel.contract.processor import IO, BlockTime
from antiphon.kernel.plugins.loader import load
from antiphon_bench.report import finish, percentiles, table
from antiphon_bench.sampler.mixer import ArrayMixer
from antiphon_sampler.library import folder_of
from antiphon_sampler.processor import Sampler
from antiphon_sampler.samples import PAD, DecodedSample
from antiphon_sampler.sounds import sounds_of
from antiphon_sampler.voices import VOICES, sides

RATE = 48000
STARTS = 1000
"""Starts a second, and notes whose onsets are measured."""
KINDS: dict[str, dict[str, Any]] = {
    "speed 1": {"speed": 1.0},
    "speed 0.8": {"speed": 0.8},
    "speed 1.5": {"speed": 1.5},
}


def main(seconds: float, seed: int) -> None:
    """Runs the bench.

    Args:
        seconds: Seconds of each run.
        seed: Random seed of the notes' frames.
    """
    kit = sounds_of(folder_of(""), RATE)
    for place in range(kit.listing.files):
        kit.decode(place)
    costs = [cost(name, block, seconds / 2) for block in (64, 256) for name in KINDS]
    table(
        f"{VOICES} voices in stereo at {RATE} Hz, {seconds / 2:g} s each: µs of processor time a block, p99 as a share "
        "of the block; then µs by the clock",
        ("voices", "block", "p50", "p99", "max", "p99 %", "numpy's p50", "its p99", "a sine's p50", "clock p50",
         "clock p99"),
        [(r["kind"], r["block"], r["p50"], r["p99"], r["max"], r["share"] * 100, r["numpy"]["p50"], r["numpy"]["p99"],
          r["sine"], r["clock"]["p50"], r["clock"]["p99"]) for r in costs],
    )  # fmt: skip
    found = onsets(seed)
    print(f"onsets: n = {found['n']}, {found['off']} not on their frame, the furthest {found['furthest']} frames off")
    lost = starts(seconds, seed)
    print(
        f"starts: {lost['begun']} in {seconds:g} s ({STARTS} a second, blocks of 256): {lost['missed']} missed, "
        f"{lost['dropped']} dropped; processor time of a block p50 {lost['p50']:.0f} µs, p99 {lost['p99']:.0f} µs"
    )
    finish("sampler", {"seed": seed, "seconds": seconds, "cost": costs, "onsets": found, "starts": lost})


class _Node:
    """A processor with its buffers, called block by block."""

    def __init__(self, processor: Processor, block: int, settings: dict[str, Any]) -> None:
        self.block, self.processor = block, processor
        self.cells = prepare_processor(processor, StreamSpec(RATE, block, 2), settings)
        self.out = np.zeros((2, block), np.float32)
        self.io = IO([], [self.out], self.cells, BlockTime(), block)
        self.at = 0

    def run(self, events: Sequence[Event] = ()) -> tuple[float, float]:
        """Plays a block; returns its µs of processor time, and by the clock."""
        self.cells.render(self.at, self.block)
        self.io.events_in, self.io.time.sample = list(events), self.at
        begun, used = time.perf_counter_ns(), time.thread_time_ns()
        self.processor.process(self.io)
        used, spent = time.thread_time_ns() - used, time.perf_counter_ns() - begun
        self.at += self.block
        return used / 1e3, spent / 1e3


def cost(kind: str, block: int, seconds: float) -> dict[str, Any]:
    """A block of `VOICES` voices that sound throughout, each with a pitch and a place of its own."""
    values = {"s": "bell", "attack": 0.001, "pan": 0.3, **KINDS[kind]}
    node = _Node(Sampler(), block, values)
    sine = _Node(load(check=False).make("tone"), block, {})
    mixer = ArrayMixer(_bell(), float(values["speed"]), sides(float(values["pan"])), block, VOICES)
    spent, clock, beside, peer, every = [], [], [], [], 24
    for n in range(round(seconds * RATE / block)):
        # a voice is begun anew before it ends, so that all sound at any time
        due = n * block // every
        events = [Event("on", 0, 36, 0.7)] if n < VOICES or due != (n - 1) * block // every else []
        took = node.run(events)
        if n >= 2 * VOICES and node.io.reports["sounding"] == VOICES:
            spent.append(took[0])
            clock.append(took[1])
            beside.append(sine.run()[0])
            begun = time.thread_time_ns()
            mixer.run()
            peer.append((time.thread_time_ns() - begun) / 1e3)
    shares = percentiles(spent)
    return {
        "kind": kind,
        "block": block,
        "blocks": len(spent),
        **shares,
        "share": shares["p99"] / (block / RATE * 1e6),
        "sine": percentiles(beside)["p50"],
        "numpy": percentiles(peer),
        "clock": percentiles(clock),
    }


def _bell() -> Samples:
    """The frames of the kit's bell, which the voices play."""
    kit = sounds_of(folder_of(""), RATE)
    sample = kit.decode(kit.place(kit.listing.names.index("bell"), 0, 0.7))
    assert isinstance(sample, DecodedSample)
    return sample.sound[0, PAD : PAD + sample.frames]


def onsets(seed: int) -> dict[str, int]:
    """First frame that sounds against the note's, in blocks of 64, 256 and 37 in turn."""
    random = np.random.default_rng(seed)
    nodes = [_Node(Sampler(), block, {"s": "rs", "sensitivity": 0.0}) for block in (64, 256, 37)]
    # the sample's own first frame is 0
    reference = first_sounding(nodes[0], 0)
    found = []
    for n in range(STARTS):
        node = nodes[n % 3]
        node.processor.reset()
        wanted = int(random.integers(0, 4 * node.block))
        found.append(first_sounding(node, wanted) - wanted - reference)
    return {"n": len(found), "off": sum(1 for x in found if x), "furthest": max(map(abs, found))}


def first_sounding(node: _Node, frame: int) -> int:
    """The first frame other than 0 after a note at `frame`."""
    for n in range(64):
        here = frame - n * node.block
        node.run([Event("on", here, 36, 1.0)] if 0 <= here < node.block else [])
        sounding = np.flatnonzero(node.out[0])
        if len(sounding):
            return n * node.block + int(sounding[0])
    return 1 << 30


def starts(seconds: float, seed: int) -> dict[str, Any]:
    """`STARTS` notes a second of all the kit, at random frames."""
    random = np.random.default_rng(seed)
    node = _Node(Sampler(), 256, {"pads": "index", "release": 0.01})
    count = round(seconds * STARTS)
    frames = np.sort(random.integers(0, round(seconds * RATE), count))
    notes, spent, at = random.integers(36, 53, count), [], 0
    for n in range(round(seconds * RATE) // 256):
        events = []
        while at < count and frames[at] < (n + 1) * 256:
            events.append(Event("on", int(frames[at]) - n * 256, int(notes[at]), 0.8))
            at += 1
        spent.append(node.run(events)[0])
    reports = node.io.reports
    return {"begun": at, "missed": reports["missed"], "dropped": reports["dropped"], **percentiles(spent)}
