"""Reads ID3 tags, as an mp3, wav or aiff file has them."""

import os

NAMES = ("title", "artist", "album", "genre", "date", "tracknumber", "comment")
"""Tags that are read, and copied from file to file."""
ID3_FRAMES = {
    "title": "TIT2",
    "artist": "TPE1",
    "album": "TALB",
    "genre": "TCON",
    "date": "TDRC",
    "tracknumber": "TRCK",
    "comment": "COMM",
    "bpm": "TBPM",
    "key": "TKEY",
}
_OLD_DATE = "TYER"
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
MAX_ID3 = 1 << 20
"""Bytes of a tag that is read: more is pictures."""


def read_id3(data: bytes) -> dict[str, str]:
    """The tags of `NAMES` in an ID3v2.3 or 2.4 tag; what is damaged or compressed is passed over."""
    tags: dict[str, str] = {}
    if data[:3] != b"ID3" or len(data) < 10 or data[3] not in (3, 4) or data[5] & 0xC0:
        return tags
    names = {frame.encode(): name for name, frame in ID3_FRAMES.items() if name in NAMES} | {_OLD_DATE.encode(): "date"}
    at, end = 10, min(len(data), 10 + _number(data[6:10], 7))
    while at + 11 <= end:
        frame, size = data[at : at + 4], _number(data[at + 4 : at + 8], 7 if data[3] == 4 else 8)
        body, at = data[at + 10 : at + 10 + size], at + 10 + size
        if frame in names and len(body) > 1 and body[0] < len(_ENCODINGS):
            text = body[1:].decode(_ENCODINGS[body[0]], "replace")
            if frame == b"COMM":  # language, and what the comment is about
                text = body[4:].decode(_ENCODINGS[body[0]], "replace").partition("\0")[2] or text[3:]
            tags.setdefault(names[frame], text.strip("\0\ufeff").partition("\0")[0])
    return tags


def chunk_tags(fd: int) -> dict[str, str]:
    """The tags of the ID3 chunk of a wav or aiff file."""
    head = os.pread(fd, 12, 0)
    big = head[:4] == b"FORM"
    if head[:4] not in (b"RIFF", b"RF64", b"FORM"):
        return {}
    at, size = 12, os.fstat(fd).st_size
    for _ in range(1000):
        name, length = os.pread(fd, 8, at)[:4], int.from_bytes(os.pread(fd, 4, at + 4), "big" if big else "little")
        if name.lower() == b"id3 ":
            return read_id3(os.pread(fd, min(length, MAX_ID3), at + 8))
        if name == b"data" and length == 0xFFFFFFFF:
            return {}
        at += 8 + length + length % 2
        if at >= size:
            break
    return {}


def _number(data: bytes, bits: int) -> int:
    total = 0
    for byte in data:
        total = total << bits | byte
    return total
