"""Zones computed in a separate process and read from its pipe, so that the worker's interpreter plays meanwhile."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.runtime import CHILD_FAULTS, ChildLimits, HelperChannel, spawn
from antiphon_pyo.instruments import SamplesError, sounds
from antiphon_pyo.zone_sound import ZoneSound

LIMITS = ChildLimits(nice=5)
"""Limits of the process that computes: it is below the one that plays, but a player waits for it."""
MAX_ZONE_BYTES = 1 << 30
"""Maximum bytes of a zone."""
_PLAIN = tuple(field.name for field in fields(ZoneSound) if field.name not in ("left", "right"))


def read(name: str, rate: int, where: Path | None = None) -> Iterator[ZoneSound]:
    """Zones of an instrument from another process, each as it is read; arguments as `instruments.sounds`.

    Raises SamplesError: the process has ended without the last zone.
    """
    with spawn(f"{__name__}:main", name, str(rate), str(where or ""), limits=LIMITS) as process:
        try:
            while "end" not in (answer := process.receive(MAX_ZONE_BYTES))[0]:
                yield _zone(*answer)
        except CHILD_FAULTS:
            raise SamplesError(f"the process that loads {name} ended before it had") from None


def _zone(plain: dict[str, Any], sound: bytearray) -> ZoneSound:
    mono = plain.pop("mono")
    sides: Samples = np.frombuffer(sound, np.float32).reshape(1 if mono else 2, -1)
    return ZoneSound(sides[0], sides[-1], **{**plain, "cutoffs": tuple(plain["cutoffs"])})


def main(channel: HelperChannel, name: str, rate: str, where: str) -> None:
    """Sends the zones of the requested instrument."""
    for zone in sounds(name, int(rate), Path(where) if where else None):
        mono = zone.right is zone.left
        plain = {name: getattr(zone, name) for name in _PLAIN}
        sides = (zone.left,) if mono else (zone.left, zone.right)
        channel.send({**plain, "mono": mono}, *map(np.ascontiguousarray, sides))
    channel.send({"end": True})
