"""The backend `pyo` as plain data: imports nothing that plays."""

from __future__ import annotations

from antiphon.api.backends.synths import SynthInfo

PYO = SynthInfo(
    "pyo",
    "antiphon_pyo.backend:Pyo",
    zygote="pyo",
    imports="antiphon_pyo.quietpyo",
    support="antiphon_pyo.support:PyoSupport",
    needs="pyo",
    install="pip install pyo",
    auto=1,
)


def pyo() -> SynthInfo:
    """The factory of `antiphon_synths`."""
    return PYO
