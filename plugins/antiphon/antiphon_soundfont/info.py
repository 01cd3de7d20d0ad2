"""Backend `soundfont` as plain data, and its support outside its worker; imports no synth."""

from collections.abc import Iterator
from dataclasses import replace

from antiphon.api import ParamError
from antiphon.api.backends.runtime import Finding
from antiphon.api.backends.synths import SynthInfo, SynthSettings, SynthSupport
from antiphon_soundfont.fonts import INSTALL_FONT, INSTALL_LIBRARY, find_soundfont, library_file

PROGRAMS = {"piano": 0, "bass": 33, "pad": 91, "pluck": 46, "strings": 48, "electric_piano": 4, "organ": 16}
"""The General MIDI programs of a synth node's instruments, from 0; drums are channel 10's."""

TRIMS = {"piano": 0.4, "bass": 1.5, "pad": 0.3, "pluck": -1.9, "strings": 0.9, "drums": -1.1}
"""dB that make the programs of FluidR3 as loud as pyo's instruments in the parts of a band."""

SOUNDFONT = SynthInfo(
    "soundfont",
    "antiphon_soundfont.backend:FluidSynth",
    support="antiphon_soundfont.info:SoundfontSupport",
    program="fluidsynth",
    install=INSTALL_LIBRARY,
    slots=4,
    memory=1536,
    trims=TRIMS,
)

SFZ = SynthInfo("sfz", "antiphon_soundfont.sfz_backend:Sfizz", needs="pysfizz", slots=1, memory=2048)
"""Of instruments in SFZ; chosen by a node's file alone."""


def soundfont() -> SynthInfo:
    """Factory of `antiphon_synths`."""
    return SOUNDFONT


class SoundfontSupport(SynthSupport):
    """Support of `PROGRAMS` and drums."""

    def check_settings(self, settings: SynthSettings, *, instead: bool) -> SynthSettings:
        """Checked settings; a missing program becomes a piano if the soundfont plays instead of another backend.

        Raises ParamError: a synth node's instrument has no program, or is a SynthDef.
        """
        instrument = settings.instrument
        if not settings.synthdef and (instrument in PROGRAMS or instrument in ("drums", "") or instrument.isdigit()):
            return settings
        if not instead:
            what = "a SynthDef" if settings.synthdef else instrument
            raise ParamError(f"a soundfont does not play {what}; it plays {', '.join(PROGRAMS)} and drums")
        return replace(settings, instrument="piano", synthdef="", sound="")

    def findings(self) -> Iterator[Finding]:
        """Checks that FluidSynth and a soundfont are installed, without loading them."""
        font = find_soundfont()
        if library_file() is None:
            yield Finding("FluidSynth", "missing", "not installed; the node soundfont needs it", INSTALL_LIBRARY)
        elif font is None:
            text = "works, but there is no General MIDI soundfont; the node soundfont needs one, or a file of yours"
            yield Finding("FluidSynth", "limited", text, INSTALL_FONT)
        else:
            yield Finding("FluidSynth", "works", f"plays General MIDI (the node soundfont) by {font}")
