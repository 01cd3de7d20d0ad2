"""What a sound file holds that is neither sound nor a tag: chunks, blocks and streams that nothing here reads."""

import os
from collections import Counter
from collections.abc import Iterator

from antiphon.files.containers.chunks import HELD_CHUNKS, chunks_of, is_chunk, long_chunks
from antiphon.files.containers.id3 import MAX_ID3, frames_of
from antiphon.files.containers.mpeg import end_of_id3_tags
from antiphon.files.containers.pieces import FileWindow
from antiphon.files.containers.tags import flac_blocks
from antiphon.kernel.runtime.notices import Manner, Notice

_SILENT = (
    b"fmt ", b"fact", b"data", b"ds64", b"JUNK", b"junk", b"PAD ", b"pad ", b"FLLR", b"FILL", b"PEAK", b"levl", b"LGWV",
    b"id3 ", b"ID3 ", b"afsp", b"umid", b"SAUR", b"r64m", b"COMM", b"SSND", b"FVER", b"NAME", b"AUTH", b"ANNO",
    b"(c) ", b"CHAN", b"AESD", b"SAXL",
)  # fmt: skip
"""Chunks of RIFF and AIFF that are sound, its form, filling or tags."""
_CAF_SILENT = (
    b"desc", b"data", b"pakt", b"kuki", b"chan", b"free", b"info", b"strg", b"peak", b"ovvw", b"edct", b"umid",
)  # fmt: skip
_CAF_HOLDS = {b"mark": "marker chunk", b"regn": "region chunk", b"inst": "root note", b"midi": "MIDI chunk"}
_W64_SILENT = (b"fmt ", b"data", b"fact", b"junk", b"levl", b"list", b"bext", b"riff", b"wave")
_FLAC_KNOWN, _FLAC_APPLICATION, _FLAC_CUESHEET = range(7), 2, 5
_OGG_SOUND = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")
_OGG_OTHERS = {b"\x80theora": "picture", b"OVP80": "picture", b"\x80kate\0\0\0": "subtitle track"}
_OGG_INDEX = b"fishead\0"
_ID3_HOLDS = {"CHAP": "chapter", "SYLT": "timed lyric", "SLT": "timed lyric"}
_ID3_SILENT = (
    "APIC", "PIC", "COMM", "COM", "USLT", "ULT", "CTOC", "PRIV", "GEOB", "GEO", "UFID", "UFI", "MCDI", "MCI", "POPM",
    "POP", "PCNT", "CNT", "RVA2", "RVAD", "RVA", "RGAD", "XRVA", "EQU2", "EQUA", "EQU", "RVRB", "REV", "ETCO", "ETC",
    "MLLT", "MLL", "SYTC", "STC", "RBUF", "BUF", "AENC", "CRA", "LINK", "LNK", "POSS", "USER", "OWNE", "COMR", "ENCR",
    "GRID", "SEEK", "ASPI", "SIGN", "IPLS", "IPL", "CRM", "XSOP", "XDOR", "NCON", "RGAD",
)  # fmt: skip
"""Frames of ID3 that are tags, covers, or of use to one program alone."""


def notices_of(fd: int, kind: str) -> list[Notice]:
    """Notices of a file that libsndfile decodes. `kind`: that of its `SoundLayout`."""
    counts = Counter[tuple[str, str, Manner]](_unread_pieces(fd, os.fstat(fd).st_size, kind))
    return [Notice(what, count, place, manner) for (what, place, manner), count in counts.items()]


def _unread_pieces(fd: int, length: int, kind: str) -> Iterator[tuple[str, str, Manner]]:
    """Yields what, place and manner of each piece that is not read."""
    if kind in ("wav", "aiff") or os.pread(fd, 4, 0) in (b"RIFF", b"RIFX"):
        yield from _chunks(fd, length)
    elif kind in ("caf", "w64"):
        yield from _long_chunks(fd, length, caf=kind == "caf")
    else:
        start = end_of_id3_tags(FileWindow(fd, length), 0)
        if start:
            yield from _id3(os.pread(fd, min(start, MAX_ID3), 0))
        if kind == "flac":
            yield from _flac(fd, start + 4)
        elif kind == "ogg":
            yield from _ogg(fd, start)


def _chunks(fd: int, length: int) -> Iterator[tuple[str, str, Manner]]:
    order = "big" if os.pread(fd, 4, 0) in (b"FORM", b"RIFX") else "little"
    for name, start, size in chunks_of(fd, length, order):
        there = length - start
        if name in (b"data", b"SSND") and (
            size > there or (size <= 8 and not is_chunk(fd, start + size, there - size, order))
        ):
            return  # never closed
        if name == b"LIST" and (inner := os.pread(fd, 4, start)) not in (b"INFO", b"adtl"):
            yield "list", _printable_name(inner), "unknown"
        elif name == b"MIDI":
            yield "MIDI chunk", "", "unused"
        elif name not in (*_SILENT, *HELD_CHUNKS, b"LIST") and name.isascii() and name.decode().isprintable():
            yield "chunk", _printable_name(os.pread(fd, 4, start) if name == b"APPL" else name), "unknown"


def _long_chunks(fd: int, length: int, *, caf: bool) -> Iterator[tuple[str, str, Manner]]:
    holds, silent, least = (_CAF_HOLDS, _CAF_SILENT, 4) if caf else ({}, _W64_SILENT, 24)
    for name, _, size in long_chunks(fd, length, caf=caf):
        if name in holds:
            yield holds[name], "", "unused"
        elif name not in silent:
            yield "chunk", _printable_name(name), "unknown"
        if name == b"data" and size <= least:
            return  # never closed


def _id3(data: bytes) -> Iterator[tuple[str, str, Manner]]:
    if data[3] not in (2, 3, 4):
        yield "ID3 tag", f"version 2.{data[3]}", "unknown"
        return
    for frame, _ in frames_of(data):
        if frame in _ID3_HOLDS:
            yield _ID3_HOLDS[frame], "", "beside"
        elif frame[:1] not in ("T", "W") and frame not in _ID3_SILENT:
            yield "tag", frame, "unknown"


def _flac(fd: int, at: int) -> Iterator[tuple[str, str, Manner]]:
    for kind, start, _ in flac_blocks(fd, at):
        if kind == _FLAC_CUESHEET:
            yield "cue sheet", "", "beside"
        elif kind == _FLAC_APPLICATION and os.pread(fd, 4, start) not in (b"riff", b"aiff", b"w64 "):
            yield "block", _printable_name(os.pread(fd, 4, start)), "unknown"
        elif kind not in _FLAC_KNOWN:
            yield "block", f"of kind {kind}", "unknown"


def _ogg(fd: int, at: int) -> Iterator[tuple[str, str, Manner]]:
    """The streams that begin beside the first sound."""
    sounds = 0
    while (head := os.pread(fd, 27 + 255, at))[:4] == b"OggS" and len(head) >= 27 and head[5] & 2:
        body = os.pread(fd, 8, at + 27 + head[26])
        other = next((what for name, what in _OGG_OTHERS.items() if body.startswith(name)), "")
        if any(body.startswith(name) for name in _OGG_SOUND):
            sounds += 1
            if sounds > 1:
                yield "sound track", "", "unused"
        elif other:
            yield other, "", "beside"
        elif body != _OGG_INDEX:
            yield "stream", _printable_name(body), "unknown"
        at += 27 + head[26] + sum(head[27 : 27 + head[26]])


def _printable_name(name: bytes) -> str:
    """Printable text of a name."""
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in name).strip()
