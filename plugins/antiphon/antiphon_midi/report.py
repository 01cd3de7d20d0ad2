"""The MIDI part of `antiphon doctor` and `antiphon devices`: the MIDI system and its ports."""

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass

from antiphon.api import AntiphonError
from antiphon.api.backends.runtime import Finding, make_bell
from antiphon_midi.devices.ports import make_backend


@dataclass(frozen=True, slots=True)
class MidiReport:
    """State of a MIDI system."""

    system: str = ""  # its name, "" without one
    problem: str = ""  # why there is none
    sources: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()


def ask() -> MidiReport:
    """MIDI system and ports that `serve --midi` would use now."""
    bell = make_bell(inherited=False)
    try:
        backend = make_backend("antiphon-devices", bell, "")
        try:
            return MidiReport(backend.name, "", tuple(backend.inputs()), tuple(backend.outputs()))
        finally:
            backend.close()
    except (AntiphonError, OSError) as error:
        return MidiReport(problem=str(error))
    finally:
        os.close(bell)


def checks() -> Iterator[Finding]:
    """Findings on MIDI, which only `serve --midi` needs."""
    report = ask()
    if report.system:
        text = f"{report.system}, {len(report.sources)} ports to listen to, {len(report.sinks)} to play to"
        yield Finding("MIDI", "works", text)
    else:
        yield Finding("MIDI", "missing", f"none for serve --midi: {report.problem}")
    if importlib.util.find_spec("rtmidi") is None:
        text = "python-rtmidi is not installed: MIDI works through JACK alone"
        yield Finding("python-rtmidi", "limited", text, "pip install python-rtmidi (it has wheels up to Python 3.12)")


def listing(report: MidiReport) -> Iterator[str]:
    """Lines of text as printed by `antiphon devices`."""
    if not report.system:
        yield f"MIDI: {report.problem}"
        return
    yield f"MIDI, {report.system}, for --midi-in and --midi-out"
    for title, names in (("in", report.sources), ("out", report.sinks)):
        for name in names:
            yield f"    {title:<4}{name}"
    if not report.sources and not report.sinks:
        yield "    no port; serve --midi offers one named antiphon"
