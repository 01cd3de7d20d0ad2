"""Sound file tags beyond libsndfile's: ID3 of mp3, wav and aiff, bpm and key, and chunks of loops and cues."""

import os
from collections.abc import Iterator, Mapping
from functools import cache

from antiphon.files.containers.id3 import ID3_FRAMES
from antiphon.files.containers.tags import Cover

ESTIMATED_TAGS = ("bpm", "key")
"""Estimated tags, written on request only: copied from another file they may be wrong."""
PLACEHOLDERS = {"bpm": ("license", "BPM="), "key": ("copyright", "INITIALKEY=")}
"""Placeholder comments of Ogg and FLAC for tags unknown to libsndfile, renamed in place."""
_SLOT = "~"


def id3(tags: Mapping[str, str], cover: Cover | None = None) -> bytes:
    """ID3v2.4 tag; empty without tags and cover."""
    frames = b""
    for name, text in tags.items():
        head = b"\x03" + (b"und\x00" if name == "comment" else b"")
        body = head + (f"{float(text):.0f}" if name == "bpm" else text).encode()
        frames += ID3_FRAMES[name].encode() + _synchsafe(len(body)) + b"\x00\x00" + body
    if cover is not None:
        body = cover.id3_frame
        frames += b"APIC" + _synchsafe(len(body)) + b"\x00\x00" + body
    return b"ID3\x04\x00\x00" + _synchsafe(len(frames)) + frames if frames else b""


def id3_chunk(big: bool, tags: Mapping[str, str], cover: Cover | None = None) -> bytes:
    """ID3 chunk of an aiff (`big`) or wav file."""
    data = id3(tags, cover)
    name, order = (b"ID3 ", "big") if big else (b"id3 ", "little")
    return name + (len(data) + len(data) % 2).to_bytes(4, order) + data + bytes(len(data) % 2)  # type: ignore[arg-type]


def append_chunks(fd: int, chunks: bytes) -> bool:
    """Appends whole chunks to a complete wav or aiff file; False where its size, of 32 bits, leaves no room."""
    head, size = os.pread(fd, 4, 0), os.fstat(fd).st_size
    size += size % 2
    whole = size - 8 + len(chunks)
    if head != b"RF64" and whole >= 1 << 32:
        return False
    os.pwrite(fd, chunks, size)
    if head == b"RF64":
        os.pwrite(fd, whole.to_bytes(8, "little"), 20)
    else:
        os.pwrite(fd, whole.to_bytes(4, "big" if head == b"FORM" else "little"), 4)
    return True


def insert_cover(fd: int, cover: Cover) -> None:
    """Puts a block with the picture behind the first block of a complete FLAC file."""
    block = cover.flac_block
    block = b"\x06" + len(block).to_bytes(3, "big") + block
    first = 8 + int.from_bytes(os.pread(fd, 3, 5), "big")
    at = os.fstat(fd).st_size
    while at > first:  # from the end, since what follows moves
        size = min(1 << 20, at - first)
        at -= size
        os.pwrite(fd, os.pread(fd, size, at), at + len(block))
    last = os.pread(fd, 1, 4)[0] & 0x80
    os.pwrite(fd, bytes([block[0] | last]) + block[1:], first)
    os.pwrite(fd, b"\0", 4)


def plain_tags(format: str, tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """libsndfile's names and texts of its tags, and placeholders for `fill_slots`."""
    if format in ("MP3", "AU"):  # of mp3 as ID3, since it would write UTF-8 for Latin-1; au has none
        return
    for name, text in tags.items():
        if name not in ESTIMATED_TAGS:
            yield name, text
        elif format in ("FLAC", "OGG"):
            word, wanted = PLACEHOLDERS[name]
            yield word, _SLOT * (len(wanted) + len(text) - len(word) - 1)


def fill_slots(fd: int, tags: Mapping[str, str]) -> None:
    """Writes bpm and key into the placeholders of a complete FLAC or Ogg file."""
    head = bytearray(os.pread(fd, 1 << 18, 0))
    for name in ESTIMATED_TAGS:
        if name in tags:
            word, wanted = PLACEHOLDERS[name]
            new = (wanted + tags[name]).encode()
            at = head.lower().find(word.encode() + b"=" + _SLOT.encode() * (len(new) - len(word) - 1))
            if at >= 0:
                head[at : at + len(new)] = new
                os.pwrite(fd, new, at)
                page = head.rfind(b"OggS", 0, at)
                if page >= 0:
                    _check_page(fd, page, bytes(head[page:]))


def _check_page(fd: int, at: int, data: bytes) -> None:
    """Writes the checksum of the Ogg page at the start of `data`, located at `at`."""
    end = 27 + data[26] + sum(data[27 : 27 + data[26]])
    total = 0
    for byte in data[:22] + bytes(4) + data[26:end]:
        total = (total << 8) & 0xFFFFFFFF ^ _crc_table()[total >> 24 ^ byte]
    os.pwrite(fd, total.to_bytes(4, "little"), at + 22)


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for n in range(256):
        value = n << 24
        for _ in range(8):
            value = (value << 1) & 0xFFFFFFFF ^ (0x04C11DB7 if value >> 31 else 0)
        table.append(value)
    return tuple(table)


def _synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
