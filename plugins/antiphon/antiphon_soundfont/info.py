"""Backend `soundfont` as plain data, its support outside its worker, and the soundfonts on this machine.

No synth is imported. A soundfont is checked before FluidSynth loads it. The format is that of "SoundFont Technical
Specification 2.04" (E-mu Systems, 2006): a RIFF file with lists of information, of samples, and of presets, whose
tables have records of fixed sizes.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from antiphon.api import FileError, ParamError
from antiphon.api.backends.files import printable_path, reason_of_os_error
from antiphon.api.backends.runtime import Finding
from antiphon.api.backends.synths import SynthInfo, SynthSettings, SynthSupport

LIBRARIES = ("libfluidsynth.so.3", "libfluidsynth.so.2", "libfluidsynth.3.dylib", "libfluidsynth.dylib")
_LIBRARY_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")
INSTALL_LIBRARY = "sudo apt-get install fluidsynth"
INSTALL_FONT = "sudo apt-get install fluid-soundfont-gm"
_FONTS = (
    "/usr/share/sounds/sf2/default-GM.sf2",
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/TimGM6mb.sf2",
    "/usr/share/soundfonts/default.sf2",
    "/usr/share/soundfonts/FluidR3_GM.sf2",
    "/usr/local/share/soundfonts/default.sf2",
    "/usr/share/sounds/sf3/default-GM.sf3",
)
"""Default paths of General MIDI soundfonts on Debian, Fedora, Arch and of FluidSynth; the first existing one plays."""
MAX_BYTES = 1 << 30
"""Maximum bytes of a soundfont: seven times the largest in Debian."""
RECORDS = {
    b"phdr": 38, b"pbag": 4, b"pmod": 10, b"pgen": 4, b"inst": 22, b"ibag": 4, b"imod": 10, b"igen": 4, b"shdr": 46,
}  # fmt: skip
"""Bytes of a record of each table of presets; the last record ends the table."""


def library_file() -> str | None:
    """Name or path of FluidSynth's library, without loading it; None if it is not installed."""
    folders = (*_LIBRARY_FOLDERS, *sorted(Path("/usr/lib").glob("*-linux-gnu")))
    paths = (f"{folder}/{name}" for folder in folders for name in LIBRARIES)
    return next((path for path in paths if os.path.exists(path)), None)


def find_soundfont() -> str | None:
    """Path of the machine's General MIDI soundfont; None if there is none."""
    # the real path, so that FluidSynth keeps one copy of its samples
    return next((os.path.realpath(path) for path in _FONTS if os.path.isfile(path)), None)


def check(path: Path) -> None:
    """Checks the structure of a soundfont, without reading its samples.

    Raises FileError: it cannot be read, is not a soundfont, is truncated, or its sizes contradict each other.
    """
    name = printable_path(path)
    try:
        if not path.is_file():
            raise FileError(f"cannot read {name}: there is no such file, or it is not an ordinary one")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise FileError(f"{name} is larger than a soundfont may be; at most {MAX_BYTES >> 30} GiB is allowed")
        with path.open("rb") as file:
            _check(file, size, name)
    except OSError as error:
        raise FileError(f"cannot read {name}: {reason_of_os_error(error)}") from None


def _check(file: BinaryIO, size: int, name: str) -> None:
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise FileError(f"{name} is no soundfont; a file that ends in .sf2 or .sf3 is one")
    end = 8 + struct.unpack("<I", head[4:8])[0]
    if end > size:
        raise FileError(f"{name}: its header promises {end} bytes and there are {size}: it was cut short")
    lists = {kind: (first, last) for kind, first, last in _chunks(file, 12, end, name, lists=True)}
    for kind in (b"sdta", b"pdta"):
        if kind not in lists:
            what = "samples" if kind == b"sdta" else "presets"
            raise FileError(f"{name} cannot be played: the soundfont has no {what}")
    tables = {kind: last - first for kind, first, last in _chunks(file, *lists[b"pdta"], name)}
    for kind, record in RECORDS.items():
        length = tables.get(kind, 0)
        if length < record or length % record:
            raise FileError(
                f"{name} cannot be played: the soundfont's table {kind.decode()} has {length} bytes, not whole "
                f"records of {record}"
            )
    for kind, first, last in _chunks(file, *lists[b"sdta"], name):
        if kind == b"smpl" and last > first:
            return
    raise FileError(f"{name} cannot be played: the soundfont has no samples")


def _chunks(file: BinaryIO, at: int, end: int, name: str, *, lists: bool = False) -> list[tuple[bytes, int, int]]:
    """(name, start, end) in bytes of each chunk; lists are named by their type."""
    found: list[tuple[bytes, int, int]] = []
    while at + 8 <= end and len(found) < 64:
        file.seek(at)
        kind, size = struct.unpack("<4sI", file.read(8))
        first, last = at + 8, at + 8 + size
        if last > end:
            shown = kind.decode("latin-1") if kind.isalnum() else repr(kind)
            raise FileError(f"{name}: its part {shown} promises {size} bytes and {end - first} are left of the file")
        if lists and kind == b"LIST":
            kind, first = file.read(4), first + 4
        found.append((kind, first, last))
        at = last + size % 2
    return found


PROGRAMS = {"piano": 0, "bass": 33, "pad": 91, "pluck": 46, "strings": 48, "electric_piano": 4, "organ": 16}
"""The General MIDI programs of a synth node's instruments, from 0; drums are channel 10's."""

TRIMS = {"piano": 0.4, "bass": 1.5, "pad": 0.3, "pluck": -1.9, "strings": 0.9, "drums": -1.1}
"""Gains in dB that make FluidR3's programs as loud as pyo's instruments in a band."""

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
"""Backend for instruments in SFZ, chosen only by a node's file."""


def soundfont() -> SynthInfo:
    """Factory of `antiphon_synths`."""
    return SOUNDFONT


class SoundfontSupport(SynthSupport):
    """Checks settings against `PROGRAMS` and drums."""

    def check_settings(self, settings: SynthSettings, *, instead: bool) -> SynthSettings:
        """Returns checked settings; a missing program becomes a piano if the soundfont replaces another backend.

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
