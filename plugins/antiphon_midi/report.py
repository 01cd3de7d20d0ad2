"""For `antiphon doctor` and `antiphon devices`: which MIDI system there is, and its ports."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass

from antiphon.api import AntiphonError
from antiphon.api.console import Finding
from antiphon_midi.ports import make_backend


@dataclass(frozen=True, slots=True)
class MidiReport:
    """system: its name, "" where there is none and `problem` says why.  sources, sinks: ports to hear, to play to."""

    system: str = ""
    problem: str = ""
    sources: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()


def ask() -> MidiReport:
    """What `serve --midi` would find now."""
    bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
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
    """Only `serve --midi` needs it."""
    heard = ask()
    if heard.system:
        said = f"{heard.system}, {len(heard.sources)} ports to listen to, {len(heard.sinks)} to play to"
        yield Finding("MIDI", "works", said)
    else:
        yield Finding("MIDI", "missing", f"none for serve --midi: {heard.problem}")
    if importlib.util.find_spec("rtmidi") is None:
        said = "python-rtmidi is not installed: MIDI works through JACK alone"
        yield Finding("python-rtmidi", "limited", said, "pip install python-rtmidi (it has wheels up to Python 3.12)")


def listing(heard: MidiReport) -> Iterator[str]:
    """Lines for a person, as `antiphon devices` prints them."""
    if not heard.system:
        yield f"MIDI: {heard.problem}"
        return
    yield f"MIDI, {heard.system}, for --midi-in and --midi-out"
    for title, names in (("in", heard.sources), ("out", heard.sinks)):
        for name in names:
            yield f"    {title:<4}{name}"
    if not heard.sources and not heard.sinks:
        yield "    no port; serve --midi offers one named antiphon"
