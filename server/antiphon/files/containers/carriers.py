"""Sound files that FFmpeg reads, by their content: those of phones, cameras, browsers and studios."""

import os

_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
"""Names of the first box of an MPEG-4 or QuickTime file."""
_STARTS = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (bytes.fromhex("3026b2758e66cf11"), "asf"),
    (b"#!AMR", "amr"),
    (b"wvpk", "wv"),
    (b"TTA1", "tta"),
    (b"MAC ", "ape"),
    (b"DSD ", "dsf"),
    (b"FLV\x01", "flv"),
    (b"MPCK", "mpc8"),
    (b"MP+", "mpc"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x7f\xfe\x80\x01", "dts"),
)
_AFTER_SIZE = {bytes.fromhex("f8726fba"): "truehd", bytes.fromhex("f8726fbb"): "mlp"}
"""Of TrueHD and its kin: four bytes of size and time stand before them."""
_OPEN_SIZES = bytes(4), b"\xff" * 4
_PACKET, _SYNC = 188, 0x47
"""Bytes of a packet of an MPEG transport stream, and its first."""
_TIMED = 4
"""Bytes of time before each packet in the files of camcorders."""
_NEWER_AC3 = 10
"""Version of the bit stream above which AC-3 is E-AC-3."""


def demuxer_of(fd: int, at: int = 0) -> str:
    """FFmpeg's name for the container that begins at a byte of a file; empty where it is none of these.

    A closed list: playlists and scripts, which name further files, are not in it.
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
    """Whether the length that FFmpeg finds is one that the file states; an AVI file that went into a pipe states none.

    FFmpeg then takes a number that stands in the place of its length.
    """
    return demuxer != "avi" or os.pread(fd, 4, 4) not in _OPEN_SIZES
