"""Minutes of real Tidal, its patterns changed every ten seconds.

An event is late where the engine had played its frame when the event came, or had missed the block of it: on a machine
with much else to do, both. So the blocks that were missed, and the load, stand beside.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from antiphon.kernel.errors import UsageError
from antiphon_bench.dirt.stage import onset_errors, tidal_stage
from antiphon_bench.dirt.tidal import LATENCY, tidal_problem
from antiphon_bench.report import finish, percentiles, table

CHANGE = 10.0
"""Seconds between two changes."""
PATTERNS = (
    ('sound "bd*4"', 'sound "[sn cp] <hh arpy>(3,8)"', 'sound "hh*16" # gain 0.9', 'sound "arpy*3"'),
    ('sound "bd(5,8)"', 'every 2 (fast 2) $ sound "sn cp"', 'sound "hh(7,16)" # cut 1', 'degrade $ sound "arpy*8"'),
    ('sound "bd [~ bd]"', 'jux rev $ sound "cp hh sn"', 'sound "hh*32"', 'ply 2 $ sound "arpy sn"'),
)


def main(seconds: float) -> None:
    """Runs the bench.

    Args:
        seconds: Seconds of playing.

    Raises:
        UsageError: Tidal is missing.
    """
    problem = tidal_problem()
    if problem:
        raise UsageError(f"antiphon bench dirt plays real Tidal: {problem}")
    with tempfile.TemporaryDirectory(prefix="antiphon-") as name:
        with tidal_stage(Path(name)) as stage:
            begun = time.monotonic()
            stage.tidal.run("setcps 0.9")
            turns: list[dict[str, float]] = []
            for turn in range(max(1, round(seconds / CHANGE))):
                for number, pattern in enumerate(PATTERNS[turn % len(PATTERNS)], 1):
                    stage.tidal.run(f"d{number} $ {pattern}")
                time.sleep(max(0.0, begun + (turn + 1) * CHANGE - time.monotonic()))
                now = stage.server.status()
                turns.append({"late": now["late"], "missed_blocks": now["missed_blocks"], "load": os.getloadavg()[0]})
            status = stage.settle()
            stage.server.stop()
        events = stage.relay.events
        errors = onset_errors(stage.recording, events)
    figures = status["dirt"]
    lead = percentiles([-event.lead for event in events])
    load = max(turn["load"] for turn in turns)
    result = {
        "events": len(events),
        "played": figures["played"],
        "late": status["late"],
        "missed_blocks": status["missed_blocks"],
        "refused": figures["refused"],
        "dropped": figures["dropped"],
        "onsets": errors.onsets,
        "off": errors.off,
        "extra": errors.extra,
        "spread": errors.spread,
        "least_lead": -lead["max"],
    }
    table(
        f"{seconds:g} s of Tidal, {LATENCY:g} s ahead, patterns changed every {CHANGE:g} s, load at most {load:.1f}",
        [name.replace("_", " ") for name in result],
        [tuple(result.values())],
    )
    print("off: events not on the frame of their time tag; extra: onsets on no event's frame")
    finish(
        "dirt", {"seconds": seconds, "latency": LATENCY, "load": load, **result, "exact": errors.exact, "turns": turns}
    )
