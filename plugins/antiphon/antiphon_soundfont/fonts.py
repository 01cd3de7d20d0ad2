"""Soundfonts on this machine, and their checks before FluidSynth loads one.

The format is that of "SoundFont Technical Specification 2.04" (E-mu Systems, 2006): a RIFF file with lists of
information, of samples, and of presets, whose tables have records of fixed sizes.
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO

from antiphon.api import FileError
from antiphon.api.backends.files import printable_path, reason_of_os_error

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

    Raises FileError: it cannot be read, is no soundfont, is cut short, or its sizes do not fit together.
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
            raise FileError(f"{name} is no soundfont that can be played: it has no {what}")
    tables = {kind: last - first for kind, first, last in _chunks(file, *lists[b"pdta"], name)}
    for kind, record in RECORDS.items():
        length = tables.get(kind, 0)
        if length < record or length % record:
            raise FileError(
                f"{name} is no soundfont that can be played: its table {kind.decode()} has {length} bytes, not whole "
                f"records of {record}"
            )
    for kind, first, last in _chunks(file, *lists[b"sdta"], name):
        if kind == b"smpl" and last > first:
            return
    raise FileError(f"{name} is no soundfont that can be played: it has no samples")


def _chunks(file: BinaryIO, at: int, end: int, name: str, *, lists: bool = False) -> list[tuple[bytes, int, int]]:
    """(name, start, end) of each chunk in bytes; lists are named by their kinds."""
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
