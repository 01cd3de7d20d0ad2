"""Declaration (`SynthInfo`) of the synth backend `pyo`; does not import pyo."""

from antiphon.api.backends.synths import SynthInfo

OWN = ("attack", "decay", "sustainlevel", "release", "lpf")
"""Values that a note may have of its own: seconds, the share of the level after `decay`, and Hz of the low-pass."""
PYO = SynthInfo(
    "pyo",
    "antiphon_pyo.backend:Pyo",
    imports="antiphon_pyo.quietpyo",
    support="antiphon_pyo.support:PyoSupport",
    needs="pyo",
    install="pip install pyo",
    auto=1,
)


def pyo() -> SynthInfo:
    """Factory of `antiphon_synths`."""
    return PYO
