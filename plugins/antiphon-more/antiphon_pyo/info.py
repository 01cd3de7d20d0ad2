"""Backend `pyo` as plain data (`SynthInfo`), and its support outside its worker; pyo is not imported."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace

from antiphon.api import ParamError
from antiphon.api.backends.runtime import Finding
from antiphon.api.backends.synths import INSTRUMENTS, SynthInfo, SynthSettings, SynthSupport

OWN = ("attack", "decay", "sustainlevel", "release", "lpf")
"""Values that each note may set: seconds, the level after `decay` as a share, and the low-pass in Hz."""
PYO = SynthInfo(
    "pyo",
    "antiphon_pyo.backend:Pyo",
    imports="antiphon_pyo.bank",
    support="antiphon_pyo.info:PyoSupport",
    needs="pyo",
    install="pip install pyo",
    auto=1,
)


def pyo() -> SynthInfo:
    """Factory of `antiphon_synths`."""
    return PYO


class PyoSupport(SynthSupport):
    """Checks settings against pyo's `INSTRUMENTS`."""

    def check_settings(self, settings: SynthSettings, *, instead: bool) -> SynthSettings:
        """Returns checked settings; a missing instrument becomes a piano if `instead`: pyo replaces another backend.

        Raises ParamError: pyo has no such instrument, or a SynthDef is asked for.
        """
        if settings.instrument in INSTRUMENTS and not settings.synthdef:
            return settings
        if not instead:
            what = "a SynthDef" if settings.synthdef else settings.instrument
            raise ParamError(f"pyo does not play {what}; start with --synth supercollider")
        return replace(settings, instrument="piano", synthdef="", sound="")

    def controls(self, settings: SynthSettings) -> Iterable[str]:
        """Names of the values a note may set: `OWN`."""
        return OWN

    def findings(self) -> Iterator[Finding]:
        """Checks that pyo is installed, without importing it."""
        if self.info.installed:
            yield Finding("pyo", "works", "plays notes (the node synth), in a worker")
        else:
            text = "not installed; the node synth takes its notes and is silent (--synth null)"
            yield Finding("pyo", "missing", text, f"{sys.executable} -m pip install pyo")
