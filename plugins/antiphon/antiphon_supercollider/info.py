"""Backend `supercollider` as plain data; imports no synth."""

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
    trims={"piano": -3.8, "bass": 3.0, "pad": -2.2, "pluck": 1.0, "drums": -2.8},
    jack=True,
    fallback=True,
)


def supercollider() -> SynthInfo:
    """Factory of `antiphon_synths`."""
    return SUPERCOLLIDER
