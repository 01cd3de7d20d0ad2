"""Detects the fault of a file: from its first and last bytes, or, thoroughly, by decoding all of it."""

import hashlib
import os
import struct
import zipfile
from pathlib import Path

from antiphon.api import FileError
from antiphon.api.backends.files import Decoder, read_midi, reason_of_os_error

HEAD_BYTES = 1 << 16
"""Number of bytes after any tags of an MP3 within which its first frame must begin."""
_MAGIC = {
    ".wav": (b"RIFF", b"RIFX", b"RF64"),
    ".au": (b".snd",),
    ".ogg": (b"OggS",),
    ".flac": (b"fLaC",),
    ".aif": (b"FORM",),
    ".aiff": (b"FORM",),
    ".mid": (b"MThd",),
    ".midi": (b"MThd",),
    ".h5": (b"\x89HDF\r\n\x1a\n",),
    ".npz": (b"PK\x03\x04",),
}
SOUND = frozenset({".wav", ".au", ".ogg", ".flac", ".aif", ".aiff", ".mp3"})
SCORES = frozenset({".mid", ".midi"})
MIN_HEADER_BYTES = 12
"""Minimum bytes of a wav or au header."""
_UNKNOWN_LENGTH = 0xFFFFFFFF  # written by what streams


def find_file_fault(path: Path, digest: str = "", *, thorough: bool = False) -> str:
    """Fault of a file as a clause, "" without one; `digest` is "md5:…" or "sha1:…".

    `thorough` compares the digest and decodes the whole sound, or reads all notes.
    """
    suffix = path.suffix.lower()
    try:
        size = path.stat().st_size
        if size == 0:
            return "it is empty"
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
        if wrong := _head_fault(suffix, head, size, path):
            return wrong
        if suffix in SCORES and (wrong := _chunk_fault(path)):
            return wrong
        if thorough:
            return _digest_fault(path, digest) or _content_fault(path, suffix)
    except OSError as error:
        return f"it cannot be read: {reason_of_os_error(error)}"
    return ""


def _head_fault(suffix: str, head: bytes, size: int, path: Path) -> str:
    if head.lstrip()[:1] == b"<" and suffix != ".xml":
        return "it holds a web page or XML, perhaps what a server answered in place of the file"
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, not the file"
    if suffix == ".mp3":
        return "" if _starts_as_mp3(head, path) else "it has no frame of MPEG audio"
    magic = _MAGIC.get(suffix)
    if magic and not head.startswith(magic):
        return f"it does not begin as a {suffix} file does"
    if suffix in (".wav", ".au") and (promised := _promised(head)) > size:
        return f"it ends early: {size:,} of {promised:,} bytes"
    if suffix == ".npz" and not zipfile.is_zipfile(path):
        return "it ends early: the list of its arrays is missing"
    return ""


def _promised(head: bytes) -> int:
    """Total size in bytes according to the header of a wav or au file; 0 without a header."""
    if len(head) < MIN_HEADER_BYTES:
        return MIN_HEADER_BYTES
    if head.startswith(b".snd"):
        offset, length = struct.unpack_from(">II", head, 4)
        return 0 if length == _UNKNOWN_LENGTH else int(offset + length)
    if head.startswith(b"RIFF"):
        (length,) = struct.unpack_from("<I", head, 4)
        return 0 if length == _UNKNOWN_LENGTH else int(length + 8 - length % 2)  # the byte that pads it may be missing
    return 0


def _starts_as_mp3(head: bytes, path: Path) -> bool:
    if head.startswith(b"ID3") and len(head) > 10:
        length = 10 + sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(head[9:5:-1]))
        with open(path, "rb") as file:
            file.seek(length)
            head = file.read(HEAD_BYTES)
    return any(_is_mp3_header(head[at : at + 3]) for at in range(len(head) - 2))


def _is_mp3_header(begin: bytes) -> bool:
    """Whether three bytes are an MP3 frame header: sync, and valid layer, bit rate and sample rate."""
    sync, version, rates = begin
    known = version & 0x06 != 0 and rates & 0xF0 not in (0, 0xF0) and rates & 0x0C != 0x0C
    return sync == 0xFF and version & 0xE0 == 0xE0 and known


def _chunk_fault(path: Path) -> str:
    """Fault in the chunks of a MIDI file."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        at = tracks = 0
        while at + 8 <= size:
            file.seek(at)
            kind, length = struct.unpack(">4sI", file.read(8))
            if at + 8 + length > size:
                return f"it ends early: {size:,} of {at + 8 + length:,} bytes"
            tracks += kind == b"MTrk"
            at += 8 + length
    return "" if tracks else "it has no track"


def _digest_fault(path: Path, digest: str) -> str:
    if not digest:
        return ""
    kind, wanted = digest.split(":", 1)
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
    return "" if found == wanted else f"its {kind} is {found}, not the {wanted} that the data set says"


def _content_fault(path: Path, suffix: str) -> str:
    try:
        if suffix in SOUND:
            with Decoder(path) as decoder:
                return "" if sum(block.shape[1] for block in decoder.blocks()) else "it holds no sound"
        if suffix in SCORES:
            read_midi(path)
        if suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                return "" if archive.testzip() is None else "its bytes are not those that were packed"
    except FileError as error:
        return str(error)
    except zipfile.BadZipFile:
        return f"it is no archive of arrays: {os.fspath(path)}"
    return ""
