"""Zones computed in a process of their own and read from its pipe, so that the worker's interpreter plays meanwhile.

Each zone is a line of JSON and its float32 frames, left and then right; a line "null" is the end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import numpy as np

from antiphon.api import Samples
from antiphon_pyo.instruments import sounds
from antiphon_pyo.samples import SamplesError
from antiphon_pyo.zone_sound import ZoneSound

NICE = 5
"""Of the process that computes: less than what plays, not the least of all, for a player waits for it."""
_PLAIN = tuple(field.name for field in fields(ZoneSound) if field.name not in ("left", "right"))


def read(name: str, rate: int, where: Path | None = None) -> Iterator[ZoneSound]:
    """The zones of an instrument, from another process.

    Args:
        name: Of `INSTRUMENTS`.
        rate: Rate of the stream, for computed instruments.
        where: The folder of the samples; None for the one beside the plugin `antiphon_synth`.

    Yields:
        The zones, each when it has been read.

    Raises:
        SamplesError: The process has ended without the last zone.
    """
    asked = json.dumps({"name": name, "rate": rate, "where": str(where) if where else None})
    program = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"
    command = [sys.executable, "-c", program, asked]
    quiet = subprocess.DEVNULL  # its errors are met again, by the worker itself
    with subprocess.Popen(command, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet) as process:
        assert process.stdout is not None
        try:
            while (zone := _zone(process.stdout)) is not None:
                yield zone
        except (ValueError, EOFError):
            raise SamplesError(f"the process that loads {name} ended before it had") from None
        finally:
            process.kill()


def _zone(source: IO[bytes]) -> ZoneSound | None:
    plain: dict[str, Any] | None = json.loads(source.readline())
    if plain is None:
        return None
    frames, mono = plain.pop("frames"), plain.pop("mono")
    left = _frames(source, frames)
    right = left if mono else _frames(source, frames)
    return ZoneSound(left, right, **{**plain, "cutoffs": tuple(plain["cutoffs"])})


def _frames(source: IO[bytes], count: int) -> Samples:
    x = np.empty(count, np.float32)
    view = x.data.cast("B")
    while view:
        got = source.readinto(view)  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        view = view[got:]
    return x


def main() -> None:
    """Writes the zones of the instrument that the first argument names."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # without a reader it ends, and prints nothing
    os.nice(NICE)
    asked = json.loads(sys.argv[1])
    out = sys.stdout.buffer
    for zone in sounds(asked["name"], asked["rate"], Path(asked["where"]) if asked["where"] else None):
        mono = zone.right is zone.left
        plain = {name: getattr(zone, name) for name in _PLAIN}
        out.write(json.dumps({**plain, "frames": len(zone.left), "mono": mono}).encode() + b"\n")
        for side in (zone.left,) if mono else (zone.left, zone.right):
            out.write(np.ascontiguousarray(side).data.cast("B"))
    out.write(b"null\n")
    out.flush()
