"""Backend `supercollider` as plain data, its latency in whole hops, and the address of an external scsynth.

No synth is imported.
"""

from antiphon.api import UsageError
from antiphon.api.backends.runtime import ServeOption
from antiphon.api.backends.synths import SynthInfo
from antiphon.api.jobs import spell

SUPERCOLLIDER = SynthInfo(
    "supercollider",
    "antiphon_supercollider.backend:SuperCollider",
    describe="antiphon_supercollider.scsynth.status:describe",
    support="antiphon_supercollider.support:SuperColliderSupport",
    option=ServeOption("scsynth", "127.0.0.1:PORT of a scsynth that runs already, to play notes by."),
    program="scsynth",
    install="sudo apt-get install supercollider-server",
    slots=8,
    memory=2048,
    crowd=0.25,
    trims={"piano": -3.8, "bass": 3.0, "pad": -2.2, "pluck": 1.0, "drums": -2.8},
    jack=True,
    fallback=True,
)


def supercollider() -> SynthInfo:
    """Factory of `antiphon_synths`."""
    return SUPERCOLLIDER


MARGIN_SECONDS = 0.010
"""Maximum delay of the engine in seconds before a note is late."""
ROUND_TRIP_BLOCKS = 4
"""Blocks from a message to its sound: arrival, sounding in the next, return, and one for the order of clients.

Engine and JACK client are called in either order within a cycle.
"""


def delay(rate: int, hop: int) -> int:
    """Hops of latency for JACK blocks of one hop."""
    return ROUND_TRIP_BLOCKS + max(1, round(MARGIN_SECONDS * rate / hop))


def ahead(rate: int, hop: int, block: int) -> int:
    """Frames by which a hop's notes are sent ahead of their frames.

    A third of the available time is reserved for late returned sound, the rest for notes sent late.
    """
    latest = (delay(rate, hop) - 1) * hop - block
    return latest - max(1, round(0.35 * (latest - block) / block)) * block


def scsynth_address(text: str) -> tuple[str, int]:
    """("127.0.0.1", port) of "127.0.0.1:PORT"; only loopback is accepted, because malformed messages crash scsynth."""
    host, _, port = text.rpartition(":")
    if host not in ("127.0.0.1", "localhost") or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{spell('scsynth')} takes 127.0.0.1:PORT, a scsynth on this machine, not {text!r}")
    return "127.0.0.1", int(port)
