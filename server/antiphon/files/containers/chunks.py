"""Chunk files (WAV, AIFF, AU, W64, CAF): checks lengths, since libsndfile truncates without an error; keeps chunks.

Loops and cues of RIFF follow "Multimedia Programming Interface" (IBM, Microsoft), `bext` EBU Tech 3285, `iXML` its own
specification, `acid` Sony's; AIFF follows "Audio Interchange File Format" (Apple).
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from antiphon.files.containers.mpeg import mpeg_links
from antiphon.files.containers.pieces import FileWindow, Link, Piece, Refused, SoundLayout
from antiphon.kernel.runtime.sound_formats import MAX_CHANNELS, MAX_RATE, MIN_RATE

MAX_CHUNKS = 4096
# Writers that cannot seek back (pipes) leave a size near one of these limits: "until the end".
OPEN_ENDED = 0x7FFF0000
_TO_THE_END = b"\xff\xff\xff\xff"
_IN_DS64 = 0xFFFFFFFF
_IN_A_PIPE = 1 << 62
"""From this value on a 64-bit size is invalid: it was unknown when it was written."""
_MPEG = (0x50, 0x55)
"""Codings of MPEG audio in a WAV file: layers I and II, layer III."""


class Chunk(NamedTuple):
    """One chunk of a file: its name, the start of its content, and its declared bytes."""

    name: bytes
    start: int
    size: int


def wav(fd: int, length: int, head: bytes) -> SoundLayout:
    """A RIFF or RIFX file, or an RF64 or BW64 file, whose sizes have 64 bits. `Refused` if it is broken."""
    order = "big" if head[:4] == b"RIFX" else "little"
    frame, coding, long, place = 1, 0, 0, 0
    for chunk in chunks_of(fd, length, order):
        there = length - chunk.start
        if chunk.name == b"ds64":
            # what the data chunk of an RF64 file promises, whose own length holds 32 bits
            place = chunk.start + 8
            long = _number(os.pread(fd, 8, place), order)
        elif chunk.name == b"fmt ":
            form = os.pread(fd, 16, chunk.start)
            coding = _number(form[0:2], order)
            check_form(_number(form[2:4], order), _number(form[4:8], order))
            frame = max(1, _number(form[12:14], order))
        elif chunk.name == b"data":
            name = b"RF64" if head[:4] == b"BW64" else head[:4]
            if place and chunk.size == (long or _IN_DS64) and there > 0:
                if not long:
                    return _unfinished_layout("wav", length, place, there.to_bytes(8, "little"), there, name)
                _check_sound_complete(long, there, frame, length)
            elif chunk.size == 0 and there > 0 and not is_chunk(fd, chunk.start, there, order):
                return _unfinished_layout("wav", length, chunk.start - 4, _TO_THE_END, there, name)
            else:
                _check_held(chunk.size, there, frame, length)
            if coding in _MPEG and (
                links := mpeg_links(fd, chunk.start, min(length, chunk.start + chunk.size), whole=False)
            ):
                return SoundLayout("mp3", links)
            return SoundLayout("wav", (Link((name, range(4, length)) if name != head[:4] else ()),))
    return SoundLayout("wav")


def aiff(fd: int, length: int, head: bytes) -> SoundLayout:
    """An AIFF or AIFC file. `Refused` if it is broken."""
    wanted = 0
    for chunk in chunks_of(fd, length, "big"):
        there = length - chunk.start
        if chunk.name == b"COMM":
            form = os.pread(fd, 22, chunk.start)
            _check_channels(_number(form[0:2], "big"))
            if chunk.size < 22 or form[18:22] == b"NONE":
                wanted = _number(form[2:6], "big") * _number(form[0:2], "big") * ((_number(form[6:8], "big") + 7) // 8)
        elif chunk.name == b"SSND":
            if chunk.size <= 8 < there and not wanted and not is_chunk(fd, chunk.start + chunk.size, there, "big"):
                return _unfinished_layout("aiff", length, chunk.start - 4, bytes(4), there - 8, head[:4])
            _check_held(chunk.size, there, 8, length)
            if chunk.size < OPEN_ENDED:
                _check_held(min(wanted, OPEN_ENDED - 1), there - 8, 1, length)
            return SoundLayout("aiff")
    if wanted:
        raise Refused("its header promises sound and none follows: it was cut short, fetch or make it again")
    return SoundLayout("aiff")


def au(fd: int, length: int, head: bytes) -> SoundLayout:
    """An AU file. `Refused` if it is broken."""
    start, size = _number(head[4:8], "big"), _number(head[8:12], "big")
    check_form(_number(head[20:24], "big"), _number(head[16:20], "big"))
    if size == 0 and start < length:
        return _unfinished_layout("au", length, 8, _TO_THE_END, length - start, head[:4])
    _check_held(size, length - start, 1, length)
    return SoundLayout("au")


def w64(fd: int, length: int, head: bytes) -> SoundLayout:
    """A W64 file: chunks with long names, and sizes of 64 bits that count the chunk's own header."""
    frame = 1
    for name, start, size in long_chunks(fd, length, caf=False):
        there = length - start
        if name == b"fmt ":
            form = os.pread(fd, 16, start)
            check_form(_number(form[2:4], "little"), _number(form[4:8], "little"))
            frame = max(1, _number(form[12:14], "little"))
        elif name == b"data":
            if (size <= 24 or size >= _IN_A_PIPE) and there > 0:
                return _unfinished_layout("w64", length, start - 8, bytes(8), there, head[:4])
            _check_sound_complete(size - 24, there, frame, length)
            break
    return SoundLayout("w64")


def caf(fd: int, length: int, head: bytes) -> SoundLayout:
    """A CAF file."""
    for name, start, size in long_chunks(fd, length, caf=True):
        there = length - start
        if name == b"desc":
            form = os.pread(fd, 32, start).ljust(32, b"\0")
            (rate,) = struct.unpack(">d", form[:8])
            check_form(_number(form[24:28], "big"), int(rate) if 0 <= rate < 2**32 else 0)
        elif name == b"data":
            held = _unfinished_layout("caf", length, start - 8, there.to_bytes(8, "big"), there, head[:4])
            if size <= 4 < there:
                return held
            open_ended = size == 2**64 - 1
            if not open_ended:
                _check_sound_complete(size, there, 1, length)
            return SoundLayout("caf", held.links if open_ended or size > there else (Link(),))
    return SoundLayout("caf")


def _unfinished_layout(kind: str, length: int, at: int, size: bytes, there: int, name: bytes) -> SoundLayout:
    """The layout of a file with another size patched in, so that it is read to its end. `name`: its first bytes."""
    link = Link((name, range(len(name), at), size, range(at + len(size), length)))
    remark = f"its recording was never closed: its header promises no sound, and all {there} bytes that follow are read"
    return SoundLayout(kind, (link,), remark)


def chunks_of(fd: int, length: int, order: str, at: int = 12) -> Iterator[Chunk]:
    """Yields chunks in order from an offset; for RF64 the size of the data is that of ds64."""
    long = 0
    for _ in range(MAX_CHUNKS):
        if at + 8 > length:
            return
        head = os.pread(fd, 8, at)
        size = _number(head[4:8], order)
        if head[:4] == b"ds64":
            long = _number(os.pread(fd, 8, at + 16), order)
        elif head[:4] == b"data" and size == _IN_DS64:
            size = long or size
        yield Chunk(head[:4], at + 8, size)
        at += 8 + size + size % 2


def long_chunks(fd: int, length: int, *, caf: bool) -> Iterator[Chunk]:
    """Yields the chunks of a CAF or W64 file, whose sizes have 64 bits; those of W64 count the chunk's header."""
    at, head, order = (8, 12, "big") if caf else (40, 24, "little")
    for _ in range(MAX_CHUNKS):
        if at + head > length:
            return
        size = _number(os.pread(fd, 8, at + head - 8), order)
        yield Chunk(os.pread(fd, 4, at), at + head, size)
        at += head + size if caf else max(head, size + -size % 8)


def complete_wav_header(fd: int) -> tuple[bytes, int]:
    """Returns a WAV file's header, for its present size while it may still be written, and the bytes of the whole.

    The sizes of the header on the disk are a second old, and change while the file is read. For another kind of file,
    or a file still without sound, the header is empty, and the bytes are those on the disk.
    """
    length = os.fstat(fd).st_size
    if os.pread(fd, 4, 0) not in (b"RIFF", b"RF64"):
        return b"", length
    found = {chunk.name: chunk for chunk in _chunks_before_sound(fd, length)}
    if not {b"fmt ", b"data"} <= found.keys():
        return b"", length
    start, size = found[b"data"].start, found[b"data"].size
    head = bytearray(os.pread(fd, start, 0))
    after = start + size + size % 2
    if after == length or (size and after < length and is_chunk(fd, after, length - after, "little")):
        return bytes(head), length  # it is closed
    long, form = head[:4] == b"RF64", found[b"fmt "].start
    frame = max(1, _number(bytes(head[form + 12 : form + 14]), "little"))
    frames = ((length if long else min(length, _IN_DS64)) - start) // frame
    frames -= frames * frame % 2  # without a byte behind it that makes its length even
    length = start + frames * frame
    if long and b"ds64" in found:
        struct.pack_into("<QQQ", head, found[b"ds64"].start, length - 8, frames * frame, frames)
    else:
        struct.pack_into("<I", head, 4, length - 8)
        struct.pack_into("<I", head, start - 4, frames * frame)
    if b"fact" in found:
        struct.pack_into("<I", head, found[b"fact"].start, min(frames, _IN_DS64))
    return bytes(head), length


def _chunks_before_sound(fd: int, length: int) -> Iterator[Chunk]:
    for chunk in chunks_of(fd, length, "little"):
        yield chunk
        if chunk.name == b"data":
            return


def _check_held(promised: int, there: int, frame: int, length: int) -> None:
    if promised < OPEN_ENDED or there <= 0:
        _check_sound_complete(promised, there, frame, length)


def _check_sound_complete(promised: int, there: int, frame: int, length: int) -> None:
    there = max(0, there)
    if promised - there >= frame and (promised > length or not there):
        raise Refused(
            f"its header promises {promised} bytes of sound and {there} follow: "
            "it was cut short, fetch or make it again"
        )


def check_form(channels: int, rate: int) -> None:
    """Raises `Refused` for unsupported numbers of channels and rates in Hz."""
    _check_channels(channels)
    if not MIN_RATE <= rate <= MAX_RATE:
        raise Refused(f"its header says a sample rate of {rate}; {MIN_RATE} to {MAX_RATE} is allowed")


def _check_channels(channels: int) -> None:
    if not 1 <= channels <= MAX_CHANNELS:
        raise Refused(f"its header says {channels} channels; 1 to {MAX_CHANNELS} are allowed")


def is_chunk(fd: int, at: int, there: int, order: str) -> bool:
    head = os.pread(fd, 8, at)
    return len(head) == 8 and all(32 <= byte < 127 for byte in head[:4]) and _number(head[4:8], order) <= there - 8


def _number(data: bytes, order: str) -> int:
    return int.from_bytes(data, "big" if order == "big" else "little")


MAX_LINKS = 1000
_MARK, _HEAD, _BEGINS, _ENDS = b"OggS", 27, 2, 4
_FLAC, _FLAC_HEAD = b"\x7fFLAC", 9
"""Signature of FLAC in Ogg, and its length before the stream of a plain FLAC file."""


@dataclass(slots=True)
class OggChain:
    """One link of an Ogg file. `flac`: the number and the position of its FLAC stream."""

    start: int
    end: int
    begun: bool = False
    serial: bytes = b""
    flac: list[Piece] = field(default_factory=list)


def ogg(fd: int, start: int, end: int) -> SoundLayout:
    """The layout of an Ogg file between two offsets. Raises `Refused`."""
    window, links, at, ended = FileWindow(fd, end), list[OggChain](), start, True
    while len(head := window.get(at, _HEAD)) == _HEAD:
        if head[:4] != _MARK:
            at = _next_page(window, at + 1)
            continue
        body = at + _HEAD + head[26]
        stop = body + sum(window.get(at + _HEAD, head[26]))
        if stop < end and window.get(stop, 4) != _MARK and (following := _next_page(window, at + 4)) < stop:
            at = following  # this one was cut off, and the next is within what it promises
            continue
        serial = head[14:18]
        if head[5] & _BEGINS and (not links or links[-1].begun):
            if len(links) == MAX_LINKS:
                raise Refused(f"it is more than {MAX_LINKS} recordings in one; cut it into parts")
            links.append(OggChain(at, stop))
        if not links:
            return SoundLayout("ogg")
        if stop > end:
            if ended:
                break  # what follows a recording that was closed is none
            raise Refused(_cut_ogg(stop - at, end - at))
        link, ended = links[-1], bool(head[5] & _ENDS)
        if head[5] & _BEGINS and not link.serial and window.get(body, 5) == _FLAC:
            link.serial, body = serial, body + _FLAC_HEAD
        if serial == link.serial:
            link.flac.append(range(body, stop))
        link.begun |= not head[5] & _BEGINS
        link.end = at = stop
    if not ended and head and _MARK.startswith(head[:4]):
        raise Refused(_cut_ogg(_HEAD, len(head)))
    remark = "" if ended else "its recording was never closed: no page of it is the last; all that is there is read"
    if len(links) == 1 and not links[0].flac and (links[0].start, links[0].end) == (0, end):
        return SoundLayout("ogg", remark=remark)
    found = tuple(Link(tuple(link.flac) or (range(link.start, link.end),)) for link in links)
    return SoundLayout("ogg", found or (Link(),), remark)


def _cut_ogg(promised: int, there: int) -> str:
    return f"its last page promises {promised} bytes and {there} follow: it was cut short, fetch or make it again"


def _next_page(window: FileWindow, at: int) -> int:
    """Position of the next page; the end without one."""
    while piece := window.get(at, 1 << 16):
        if (found := piece.find(_MARK)) >= 0:
            return at + found
        at += max(1, len(piece) - 3)
    return window.end


MAX_MARKS = 1 << 20
"""Maximum bytes of the chunks that `read_marks` keeps."""
PLACES, TEMPO, ROOT, NOTES = "the loop and cue points", "the tempo", "the root note", "the notes on the recording"
HELD_CHUNKS = {
    b"smpl": PLACES, b"cue ": PLACES, b"plst": PLACES, b"adtl": PLACES, b"inst": ROOT, b"MARK": PLACES,
    b"INST": PLACES, b"COMT": PLACES, b"acid": TEMPO, b"strc": PLACES, b"basc": TEMPO, b"trns": PLACES,
    b"cate": NOTES, b"bext": NOTES, b"iXML": NOTES, b"cart": NOTES, b"axml": NOTES, b"chna": NOTES, b"_PMX": NOTES,
    b"DISP": NOTES,
}  # fmt: skip
"""Kinds of content of the kept chunks; "adtl" is a LIST of that kind."""
_ROOTS = {b"INST": slice(8, 9), b"basc": slice(16, 18)}
"""Where chunks state a root note besides; 0 for none."""
_PITCHED = (b"smpl", b"inst", b"INST")
_OF_RATE = (b"iXML", b"cart", b"axml", b"chna")
_SOUGHT = (b"smpl", b"cue ", b"acid", b"bext")
"""Chunks that are searched for after sound of unknown length."""
_ROOT_KNOWN = 2
_TIME, _VERSION, _LOUDNESS = 338, 346, 412
"""Offsets in `bext`: samples since midnight, its version, and five loudness values."""
_UNKNOWN_LOUDNESS = struct.pack("<5h", *[0x7FFF] * 5)


class NewSound(NamedTuple):
    """How a sound differs from the sound that chunks belong to."""

    same_length: bool  # in seconds
    rates: tuple[int, int]  # of the old and the new, Hz
    transposed: bool = False


def read_marks(path: str | os.PathLike[str]) -> bytes | None:
    """Reads the kept chunks of a wav or aiff file, unchanged and concatenated; None without any.

    Empty if not all of them can be kept: over `MAX_MARKS`, truncated, of RIFX, after too many chunks, or after sound of
    unknown length.
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
            if (os.pread(fd, 4, start) if name == b"LIST" else name) in HELD_CHUNKS:
                if head[:4] == b"RIFX" or size > min(there, MAX_MARKS - len(found)):
                    return b""
                found += os.pread(fd, 8 + size, start - 8) + bytes(size % 2)
            if count == MAX_CHUNKS and size + 8 < there:
                return b""
    return found or None


def is_aiff(head: bytes) -> bool:
    """Whether a file, or chunks with big-endian sizes, are AIFF's, by the first 12 bytes of the file."""
    return head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC")


def keep_valid_chunks(chunks: bytes, sound: NewSound, *, big: bool) -> bytes:
    """Chunks that stay valid for another sound, with their values adapted. `big`: big-endian, as in AIFF."""
    kept = b""
    same = sound.same_length and sound.rates[0] == sound.rates[1]
    for name, whole in _each(chunks, big=big):
        about = HELD_CHUNKS.get(name)
        if (about == PLACES and not same) or (about == TEMPO and not sound.same_length):
            continue
        if (sound.transposed and name in _PITCHED) or (name in _OF_RATE and sound.rates[0] != sound.rates[1]):
            continue
        if name == b"acid" and sound.transposed and len(whole) >= 12:
            whole = whole[:8] + bytes((whole[8] & ~_ROOT_KNOWN,)) + whole[9:]
        kept += _adapt_bext(whole, sound.rates) if name == b"bext" else whole
    return kept


def describe_lost_chunks(chunks: bytes, kept: bytes, *, big: bool) -> list[str]:
    """Descriptions of the chunks that are not kept."""
    left = [name for name, _ in _each(kept, big=big)]
    lost = dict[str, list[str]]()
    for name, whole in _each(chunks, big=big):
        if name not in left:
            root = any(whole[_ROOTS[name]]) if name in _ROOTS else False
            for about in (HELD_CHUNKS[name], *((ROOT,) if root else ())):
                lost.setdefault(about, []).append(name.decode().strip())
    return [f"{about} ({', '.join(names)})" if about == NOTES else about for about, names in lost.items()]


def has_pitch(chunks: bytes, *, big: bool) -> bool:
    """Whether chunks state a root note."""
    return any(
        name in _PITCHED or (name == b"acid" and whole[8] & _ROOT_KNOWN) for name, whole in _each(chunks, big=big)
    )


def _each(chunks: bytes, *, big: bool) -> Iterator[tuple[bytes, bytes]]:
    """Yields name and bytes of each chunk; a LIST is named by its kind."""
    at = 0
    while at + 8 <= len(chunks):
        name, size = chunks[at : at + 4], int.from_bytes(chunks[at + 4 : at + 8], "big" if big else "little")
        end = at + 8 + size + size % 2
        yield chunks[at + 8 : at + 12] if name == b"LIST" else name, chunks[at:end]
        at = end


def _adapt_bext(whole: bytes, rates: tuple[int, int]) -> bytes:
    """Adapts `bext` to another sound: its time at the new rate, its loudness unknown."""
    body = bytearray(whole[8:])
    if len(body) >= _VERSION + 2:
        (samples,) = struct.unpack_from("<Q", body, _TIME)
        struct.pack_into("<Q", body, _TIME, min(samples * rates[1] // rates[0], 2**64 - 1))
        if body[_VERSION] >= 2 and len(body) >= _LOUDNESS + 10:
            body[_LOUDNESS : _LOUDNESS + 10] = _UNKNOWN_LOUDNESS
    return whole[:8] + bytes(body)
