"""Chunks of a wav or aiff file beside its sound and its tags, and which of them hold of another sound.

Loops and cues of RIFF are those of "Multimedia Programming Interface" (IBM, Microsoft), `bext` is EBU Tech 3285, `iXML`
its own, `acid` Sony's; of AIFF "Audio Interchange File Format" (Apple).
"""

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from antiphon.files.containers.chunks import MAX_CHUNKS, chunks_of, is_chunk

MAX_MARKS = 1 << 20
"""Maximum bytes of the chunks that `read_marks` keeps."""
PLACES, TEMPO, ROOT, NOTES = "the loop and cue points", "the tempo", "the root note", "the notes on the recording"
_HOLDS = {
    b"smpl": PLACES, b"cue ": PLACES, b"plst": PLACES, b"adtl": PLACES, b"inst": ROOT, b"MARK": PLACES,
    b"INST": PLACES, b"COMT": PLACES, b"acid": TEMPO, b"strc": PLACES, b"basc": TEMPO, b"trns": PLACES,
    b"cate": NOTES, b"bext": NOTES, b"iXML": NOTES, b"cart": NOTES, b"axml": NOTES, b"chna": NOTES, b"_PMX": NOTES,
    b"DISP": NOTES,
}  # fmt: skip
"""What a chunk that is kept is about; "adtl" is a LIST of that kind."""
_PITCHED = (b"smpl", b"inst", b"INST")
_OF_RATE = (b"iXML", b"cart", b"axml", b"chna")
_SOUGHT = (b"smpl", b"cue ", b"acid", b"bext")
"""Chunks that are looked for behind sound of unknown length."""
_ROOT_KNOWN = 2
_TIME, _VERSION, _LOUDNESS = 338, 346, 412
"""Offsets in `bext`: samples since midnight, its version, and five measures of loudness."""
_UNKNOWN_LOUDNESS = struct.pack("<5h", *[0x7FFF] * 5)


class NewSound(NamedTuple):
    """How a sound differs from the one that chunks are of."""

    same_length: bool  # in seconds
    rates: tuple[int, int]  # of the old and the new, Hz
    transposed: bool = False


def read_marks(path: str | os.PathLike[str]) -> bytes | None:
    """Chunks of a wav or aiff file that are kept, as they are in it, behind one another; None without any.

    Empty where they are not all kept: over `MAX_MARKS`, cut short, of RIFX, behind too many chunks, or behind sound
    of unknown length.
    """
    found = b""
    with open(path, "rb") as file:
        fd, length = file.fileno(), os.fstat(file.fileno()).st_size
        head = os.pread(fd, 12, 0)
        if head[:4] not in (b"RIFF", b"RIFX", b"RF64", b"BW64") and not is_aiff(head):
            return None
        order = "big" if head[:4] in (b"RIFX", b"FORM") else "little"
        for count, (name, start, size) in enumerate(chunks_of(fd, length, order), 1):
            there = length - start
            if name == b"data" and (size > there or (size == 0 and not is_chunk(fd, start, there, order))):
                last = os.pread(fd, MAX_MARKS, max(start, length - MAX_MARKS))
                return b"" if any(mark in last for mark in _SOUGHT) else found or None
            if (os.pread(fd, 4, start) if name == b"LIST" else name) in _HOLDS:
                if head[:4] == b"RIFX" or size > min(there, MAX_MARKS - len(found)):
                    return b""
                found += os.pread(fd, 8 + size, start - 8) + bytes(size % 2)
            if count == MAX_CHUNKS and size + 8 < there:
                return b""
    return found or None


def is_aiff(head: bytes) -> bool:
    """Whether a file, or chunks of which the sizes are big-endian, are AIFF's, by the first 12 bytes of the file."""
    return head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC")


def kept_marks(chunks: bytes, sound: NewSound, *, big: bool) -> bytes:
    """Those of the chunks that hold of another sound, with what is to be changed in them. `big`: of AIFF."""
    kept = b""
    same = sound.same_length and sound.rates[0] == sound.rates[1]
    for name, whole in _each(chunks, big=big):
        about = _HOLDS.get(name)
        if (about == PLACES and not same) or (about == TEMPO and not sound.same_length):
            continue
        if (sound.transposed and name in _PITCHED) or (name in _OF_RATE and sound.rates[0] != sound.rates[1]):
            continue
        if name == b"acid" and sound.transposed and len(whole) >= 12:
            whole = whole[:8] + bytes((whole[8] & ~_ROOT_KNOWN,)) + whole[9:]
        kept += _recorded(whole, sound.rates) if name == b"bext" else whole
    return kept


def lost_words(chunks: bytes, kept: bytes, *, big: bool) -> list[str]:
    """What the chunks that are not kept are about, in words."""
    left = [name for name, _ in _each(kept, big=big)]
    lost = dict[str, list[str]]()
    for name, _ in _each(chunks, big=big):
        if name not in left:
            lost.setdefault(_HOLDS[name], []).append(name.decode().strip())
    return [f"{about} ({', '.join(names)})" if about == NOTES else about for about, names in lost.items()]


def has_pitch(chunks: bytes, *, big: bool) -> bool:
    """Whether chunks say a root note."""
    return any(
        name in _PITCHED or (name == b"acid" and whole[8] & _ROOT_KNOWN) for name, whole in _each(chunks, big=big)
    )


def _each(chunks: bytes, *, big: bool) -> Iterator[tuple[bytes, bytes]]:
    """Name and bytes of each chunk; the name of a LIST is its kind."""
    at = 0
    while at + 8 <= len(chunks):
        name, size = chunks[at : at + 4], int.from_bytes(chunks[at + 4 : at + 8], "big" if big else "little")
        end = at + 8 + size + size % 2
        yield chunks[at + 8 : at + 12] if name == b"LIST" else name, chunks[at:end]
        at = end


def _recorded(whole: bytes, rates: tuple[int, int]) -> bytes:
    """`bext` of another sound: its time at the new rate, its loudness unknown."""
    body = bytearray(whole[8:])
    if len(body) >= _VERSION + 2:
        (samples,) = struct.unpack_from("<Q", body, _TIME)
        struct.pack_into("<Q", body, _TIME, min(samples * rates[1] // rates[0], 2**64 - 1))
        if body[_VERSION] >= 2 and len(body) >= _LOUDNESS + 10:
            body[_LOUDNESS : _LOUDNESS + 10] = _UNKNOWN_LOUDNESS
    return whole[:8] + bytes(body)
