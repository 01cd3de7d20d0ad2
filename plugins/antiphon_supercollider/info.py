"""Backend `supercollider` as plain data; imports no synth."""

from __future__ import annotations

from antiphon.api.backends.runtime import ServeOption
from antiphon.api.backends.synths import SynthInfo

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
    trims={"piano": -3.9, "bass": 2.6, "pad": -3.2, "drums": -3.9},
    jack=True,
    fallback=True,
)


def supercollider() -> SynthInfo:
    """Factory of `antiphon_synths`."""
    return SUPERCOLLIDER
