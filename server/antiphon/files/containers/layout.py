"""Finds the layout of a sound file: its kind, by its content, and where its sounds are; also of FFmpeg's formats."""

import itertools
import os
import re
from collections.abc import Callable

from antiphon.files.containers import chunks
from antiphon.files.containers.mpeg import end_of_id3_tags, mpeg_links, start_of_end_tags
from antiphon.files.containers.pieces import FileWindow, Link, Refused, SoundLayout

_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
"""Names of the first box of an MPEG-4 or QuickTime file."""
_STARTS = (
    (b"\x1a\x45\xdf\xa3", "matroska"), (bytes.fromhex("3026b2758e66cf11"), "asf"), (b"#!AMR", "amr"), (b"wvpk", "wv"),
    (b"TTA1", "tta"), (b"MAC ", "ape"), (b"DSD ", "dsf"), (b"FLV\x01", "flv"), (b"MPCK", "mpc8"), (b"MP+", "mpc"),
    (b"\x00\x00\x01\xba", "mpeg"), (b"\x7f\xfe\x80\x01", "dts"),
)  # fmt: skip
_AFTER_SIZE = {bytes.fromhex("f8726fba"): "truehd", bytes.fromhex("f8726fbb"): "mlp"}
"""Signatures of TrueHD and its variants, which follow four bytes of size and time."""
_OPEN_SIZES = bytes(4), b"\xff" * 4
_PACKET, _SYNC = 188, 0x47
"""Bytes of a packet of an MPEG transport stream, and its sync byte."""
_TIMED = 4
"""Bytes of timestamp before each packet in files of camcorders."""
_NEWER_AC3 = 10
"""Version of the bit stream above which AC-3 is E-AC-3."""


def demuxer_of(fd: int, at: int = 0) -> str:
    """FFmpeg's name for the container that begins at a byte of a file; empty for an unsupported one.

    The list is closed: playlists and scripts, which name further files, are not in it.
    """
    head = os.pread(fd, 4 * _PACKET, at)
    if head[4:8] in _BOXES:
        return "mov"
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[4:8] in _AFTER_SIZE:
        return _AFTER_SIZE[head[4:8]]
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:4] == b"FRM8" and head[12:16] == b"DSD ":
        return "iff"
    if head[:2] == b"\x0b\x77" and len(head) > 5:
        return "eac3" if head[5] >> 3 > _NEWER_AC3 else "ac3"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    for before in (0, _TIMED):
        packets = head[before :: _PACKET + before]
        if len(packets) >= 3 and all(first == _SYNC for first in packets[:3]):
            return "mpegts"
    return ""


def states_length(fd: int, demuxer: str) -> bool:
    """Whether the file itself states the length that FFmpeg finds; an AVI file written to a pipe states none.

    For such a file FFmpeg uses the number in place of the length.
    """
    return demuxer != "avi" or os.pread(fd, 4, 4) not in _OPEN_SIZES


_SNDFILE_CODINGS = (0x1, 0x2, 0x3, 0x6, 0x7, 0x11, 0x31, 0x40, 0x50, 0x55, 0xFFFE)
"""Codings of wav that libsndfile decodes."""


def other_demuxer(fd: int, kind: str) -> str:
    """FFmpeg's name for a container that libsndfile reads, where its coding is one that libsndfile does not; else "".

    `kind`: that of the `SoundLayout`, of a file that libsndfile refused.
    """
    if kind in ("caf", "ogg"):
        return kind
    forms = (one for one in chunks.chunks_of(fd, os.fstat(fd).st_size, "little") if one.name == b"fmt ")
    form = next(forms, None) if kind == "wav" else None
    coding = 1 if form is None else int.from_bytes(os.pread(fd, 2, form.start), "little")
    return "" if coding in _SNDFILE_CODINGS else kind


KINDS = "wav, flac, ogg, mp3, aiff, au, w64, caf, m4a, mp4, webm, mkv, wma or other sound"
"""The supported formats, as text within a sentence."""

_FLAC_HEAD = 8
"""Length of the signature of a FLAC file, bytes."""
_PLAYLIST = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:#EXTM3U|\[playlist\]|[^\0-\x08\n]+\.(?:wav|flac|ogg|mp3|opus|aiff?|m4a)\s*(?:\n|\Z))",
    re.IGNORECASE,
)
"""First bytes of a playlist, M3U or PLS."""


def layout(fd: int) -> SoundLayout:
    """Layout of the file behind a descriptor. Raises `Refused`: it is none of `KINDS`, or is incomplete."""
    length = os.fstat(fd).st_size
    head = os.pread(fd, 32, 0)
    if not head:
        raise Refused("it is empty (0 bytes)")
    match head[:4]:
        case b"RIFF" | b"RIFX" | b"RF64" | b"BW64" if head[8:12] == b"WAVE":
            return chunks.wav(fd, length, head)
        case b"FORM" if head[8:12] in (b"AIFF", b"AIFC"):
            return chunks.aiff(fd, length, head)
        case b".snd":
            return chunks.au(fd, length, head)
        case b"riff":
            return chunks.w64(fd, length, head)
        case b"caff":
            return chunks.caf(fd, length, head)
    if head[4:8] == b"ftyp":
        _check_mpeg4(fd, length)
    tagged = end_of_id3_tags(FileWindow(fd, length), 0)
    if demuxer := demuxer_of(fd) or demuxer_of(fd, tagged):
        _check_carrier(fd, demuxer, length)
        return SoundLayout("m4a" if demuxer == "mov" else demuxer, demuxer=demuxer)
    match os.pread(fd, 4, tagged):
        case b"fLaC":
            return SoundLayout("flac", _flac_links(fd, tagged, length))
        case b"OggS":
            return chunks.ogg(fd, tagged, length)
    end = start_of_end_tags(fd, length)
    if links := mpeg_links(fd, 0, end, whole=True):
        return SoundLayout("mp3", links)
    if tagged or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 6):
        return SoundLayout("mp3")
    if _PLAYLIST.match(os.pread(fd, 512, 0)):
        raise Refused("it is a playlist, which holds no sound: name the files in it, or their folder")
    raise Refused(f"it is not a {KINDS} file")


def _flac_links(fd: int, start: int, length: int) -> tuple[Link, ...]:
    """Links of concatenated FLAC files: the header of the first does not cover the others."""
    starts, at, end = [start], start + 4, start_of_end_tags(fd, length)
    while len(piece := os.pread(fd, 1 << 20, at)) >= _FLAC_HEAD:
        found = piece.find(b"fLaC")
        if found >= 0 and piece[found + 5 : found + 8] == b"\0\0\x22":
            starts.append(at + found)
        at += found + 4 if 0 <= found <= len(piece) - _FLAC_HEAD else len(piece) - _FLAC_HEAD + 1
    if len(starts) == 1 and end == length:
        return (Link(),)
    return tuple(Link((range(start, stop),)) for start, stop in itertools.pairwise((*starts, end)))


_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
"""Name of the object of an ASF file that states its length."""
_SEGMENT = bytes.fromhex("18538067")
"""Name of the element of a Matroska file that holds the rest."""


def _check_carrier(fd: int, demuxer: str, length: int) -> None:
    """Raises `Refused` for a file that is shorter than its own header states."""
    promised = _STATED[demuxer](os.pread(fd, 4096, 0)) if demuxer in _STATED else 0
    if promised > length:
        raise Refused(
            f"its header promises {promised} bytes and {length} are there: it was cut short, fetch or make it again"
        )


def _avi_bytes(head: bytes) -> int:
    return 0 if head[4:8] in _OPEN_SIZES else 8 + int.from_bytes(head[4:8], "little")


def _asf_bytes(head: bytes) -> int:
    at = head.find(_ASF_FILE)
    if at < 0 or len(head) < at + 92 or head[at + 88] & 1:  # a broadcast, whose length was unknown
        return 0
    return int.from_bytes(head[at + 40 : at + 48], "little")


def _matroska_bytes(head: bytes) -> int:
    """The end of the first segment; 0 where it is open-ended."""
    at = head.find(_SEGMENT) + 4
    if at < 4 or at >= len(head) or not head[at]:
        return 0
    width = 9 - head[at].bit_length()
    size = int.from_bytes(head[at : at + width], "big") & (1 << 7 * width) - 1
    return 0 if size == (1 << 7 * width) - 1 else at + width + size


_STATED: dict[str, Callable[[bytes], int]] = {"avi": _avi_bytes, "asf": _asf_bytes, "matroska": _matroska_bytes}
"""Length in bytes that the beginning of a file states, by container; 0 without a statement."""


def _check_mpeg4(fd: int, length: int) -> None:
    """Raises `Refused` for concatenated MPEG-4 files."""
    at = 0
    for _ in range(chunks.MAX_CHUNKS):
        box = os.pread(fd, 16, at) if at < length else b""
        if len(box) < 8:
            return
        if at and box[4:8] == b"ftyp":
            raise Refused(f"it is several m4a files in one, the second from byte {at} on: cut it there")
        size = int.from_bytes(box[:4], "big")
        size = int.from_bytes(box[8:16], "big") if size == 1 else size
        if size < 8:
            return
        at += size
