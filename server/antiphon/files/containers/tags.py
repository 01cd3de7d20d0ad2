"""Tags of a sound file beyond what libsndfile reads and writes: ID3, APE, Vorbis comments, chunks of RIFF and AIFF."""

import binascii
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from antiphon.files.containers.chunks import chunks_of
from antiphon.files.containers.id3 import (
    ID3_FRAMES,
    MAX_ID3,
    common_name,
    frames_of,
    genres,
    join_values,
    plain,
    read_id3,
    read_id3v1,
    undeclared_text,
)
from antiphon.files.containers.mpeg import end_of_id3_tags
from antiphon.files.containers.pieces import FileWindow

MAX_COMMENTS = 8 << 20
"""Maximum bytes read of Vorbis comments: pictures may come before texts."""
MAX_TEXT = 1 << 16
"""Maximum bytes read of a chunk's text."""
_WORDS = {
    "title": "title", "artist": "artist", "album": "album", "genre": "genre", "date": "date", "year": "date",
    "tracknumber": "tracknumber", "track": "tracknumber", "comment": "comment", "description": "comment",
    "tracktotal": "of", "totaltracks": "of", "tbpm": "bpm", "initialkey": "key", "synopsis": "comment",
    "album_artist": "albumartist", "album artist": "albumartist", "disc": "discnumber",
}  # fmt: skip
"""Tags by the keys of Vorbis comments, APE and ffmpeg; "of" is the number of tracks."""
_INFO = {
    b"INAM": "title", b"IART": "artist", b"IPRD": "album", b"IGNR": "genre", b"ICRD": "date", b"ITRK": "tracknumber",
    b"IPRT": "tracknumber", b"TRCK": "tracknumber", b"ICMT": "comment", b"NAME": "title", b"AUTH": "artist",
    b"ANNO": "comment", b"ICOP": "copyright", b"(c) ": "copyright", b"IENG": "engineer", b"IKEY": "keywords",
    b"ISBJ": "subject", b"ISRC": "source", b"IMUS": "composer", b"ICMS": "commissioned by",
}  # fmt: skip
"""Tags by the chunks of RIFF's INFO list and of AIFF."""
_FLAC_COMMENTS, _FLAC_PICTURE = 4, 6
Found = dict[str, list[str]]


def read_tags(fd: int) -> dict[str, str]:
    """Reads the tags of a file: those of `id3.NAMES` and others. Repeated values become one text, "A; B".

    Damaged tags are left out.
    """
    length = os.fstat(fd).st_size
    head = os.pread(fd, 12, 0)
    tags: dict[str, str] = {}
    if head[:4] in (b"RIFF", b"RF64", b"BW64", b"FORM"):
        return _chunk_tags(fd, length, head)
    start = end_of_id3_tags(FileWindow(fd, length), 0)
    if start:
        tags = read_id3(os.pread(fd, min(start, MAX_ID3), 0))
    kind = os.pread(fd, 4, start)
    if kind == b"fLaC":
        return _parse_vorbis_comments(_flac_comments(fd, start + 4)) | tags
    if kind == b"OggS":
        return _parse_vorbis_comments(_ogg_comments(fd, start)) | tags
    old = os.pread(fd, 128, max(0, length - 128))
    end = length - 128 if old[:3] == b"TAG" else length
    return read_id3v1(old) | _read_ape_tag(fd, end) | tags


def _chunk_tags(fd: int, length: int, head: bytes) -> dict[str, str]:
    """Tags of the chunks of a wav or aiff file; those of its ID3 chunk take precedence."""
    order = "big" if head[:4] == b"FORM" else "little"
    found, id3 = Found(), dict[str, str]()
    for name, start, size in chunks_of(fd, length, order):
        if name.lower() == b"id3 ":
            id3 = id3 or read_id3(os.pread(fd, min(size, MAX_ID3), start))
        elif order == "big" and name in _INFO:
            text = os.pread(fd, min(size, MAX_TEXT), start).rstrip(b"\0")
            found.setdefault(_INFO[name], []).append(undeclared_text(text))
        elif name == b"LIST" and os.pread(fd, 4, start) == b"INFO":
            for inner, at, count in chunks_of(fd, min(length, start + size), order, start + 4):
                if inner in _INFO:
                    text = os.pread(fd, min(count, MAX_TEXT), at).partition(b"\0")[0]
                    found.setdefault(_INFO[inner], []).append(undeclared_text(text))
    return _one(found) | id3


def _one(found: Found) -> dict[str, str]:
    """Joins the values of each tag to one text."""
    found["genre"] = [genre for text in found.get("genre", []) for genre in genres(text)]
    tags = {name: join_values(texts) for name, texts in found.items()}
    total = tags.pop("of", "")
    if total and tags.get("tracknumber", "").isdigit():
        tags["tracknumber"] += f"/{total}"
    return {name: text for name, text in tags.items() if text and common_name(name)}


def common_tags(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Converts pairs of a file's own tag names and texts to common tags."""
    found = Found()
    for key, text in pairs:
        name = plain(key)
        found.setdefault(_WORDS.get(name, name), []).append(text)
    return _one(found)


@dataclass(frozen=True, slots=True)
class Cover:
    """An unchanged cover picture: its media type, such as `image/jpeg`, and its bytes."""

    mime: str
    data: bytes


def cover_of(path: str | os.PathLike[str]) -> Cover | None:
    """The first cover picture of an mp3, FLAC, Ogg or MPEG-4 file; None without a readable one."""
    with open(path, "rb") as file:
        fd = file.fileno()
        start = end_of_id3_tags(FileWindow(fd, os.fstat(fd).st_size), 0)
        tag = os.pread(fd, min(start, MAX_ID3), 0)
        if tag[:3] == b"ID3" and tag[3] in (2, 3, 4):
            for name, content in frames_of(tag):
                if name in ("APIC", "PIC") and (found := _cover_from_frame(name, content)):
                    return found
        kind = os.pread(fd, 4, start)
        if os.pread(fd, 4, 4) == b"ftyp":
            from antiphon.files.containers.mp4_tags import read_mp4_cover

            found_cover = read_mp4_cover(fd)
            return None if found_cover is None else Cover(*found_cover)
        if kind == b"OggS":
            for one in _iterate_vorbis_comments(_ogg_comments(fd, start)):
                key, _, text = one.partition(b"=")
                if key.upper() == b"METADATA_BLOCK_PICTURE":
                    with suppress(ValueError):
                        return _cover_from_block(binascii.a2b_base64(text))
        if kind == b"fLaC":
            for block, at, size in flac_blocks(fd, start + 4):
                if block == _FLAC_PICTURE:
                    return _cover_from_block(os.pread(fd, size, at))
    return None


def _cover_from_frame(name: str, content: bytes) -> Cover | None:
    """Cover from an ID3 frame: encoding, type, kind, a description that ends with one or two zeros, and the bytes."""
    mime, _, rest = content[1:].partition(b"\0") if name == "APIC" else (content[1:4], b"", content[4:])
    rest = rest[1:]
    if content[:1] in (b"\1", b"\2"):  # two bytes a letter
        end = next((n for n in range(0, min(len(rest) - 1, MAX_TEXT), 2) if rest[n : n + 2] == b"\0\0"), len(rest))
        data = rest[end + 2 :]
    else:
        data = rest.partition(b"\0")[2]
    plain = mime.decode("latin-1").lower()
    plain = plain if "/" in plain else "image/" + {"jpg": "jpeg"}.get(plain, plain)
    return Cover(plain, data) if data and plain.startswith("image/") else None


def _cover_from_block(block: bytes) -> Cover | None:
    """Cover from a FLAC block: kind, type, description, four numbers about its pixels, and the bytes."""
    at, parts = 4, list[bytes]()
    for skip in (0, 16):
        size = int.from_bytes(block[at : at + 4], "big")
        parts.append(block[at + 4 : at + 4 + size])
        at += 4 + size + skip
    size = int.from_bytes(block[at : at + 4], "big")
    data, mime = block[at + 4 : at + 4 + size], parts[0].decode("latin-1")
    return Cover(mime, data) if data and len(data) == size and mime.startswith("image/") else None


def _flac_comments(fd: int, at: int) -> bytes:
    for kind, start, size in flac_blocks(fd, at):
        if kind == _FLAC_COMMENTS:
            return os.pread(fd, min(size, MAX_COMMENTS), start)
    return b""


def flac_blocks(fd: int, at: int) -> Iterator[tuple[int, int, int]]:
    """Kind, start and bytes of each block before the sound."""
    for _ in range(128):
        head = os.pread(fd, 4, at)
        if len(head) < 4:
            return
        size = int.from_bytes(head[1:4], "big")
        yield head[0] & 127, at + 4, size
        if head[0] & 128:
            return
        at += 4 + size


def _ogg_comments(fd: int, at: int) -> bytes:
    """Comments of the first stream: its second packet, after the codec's name."""
    serial, packet, begun = b"", bytearray(), 0
    while len(packet) < MAX_COMMENTS:
        head = os.pread(fd, 27 + 255, at)
        if head[:4] != b"OggS" or len(head) < 27:
            break
        sizes = head[27 : 27 + head[26]]
        serial = serial or head[14:18]
        if head[14:18] == serial:
            data, place = os.pread(fd, sum(sizes), at + 27 + head[26]), 0
            for size in sizes:
                packet += data[place : place + size] if begun else b""
                place += size
                if size < 255 and begun:
                    return _strip_codec_name(bytes(packet))
                begun += size < 255
        at += 27 + head[26] + sum(sizes)
    return _strip_codec_name(bytes(packet))


def _strip_codec_name(packet: bytes) -> bytes:
    for name in (b"\x03vorbis", b"OpusTags", b"Speex   "):
        if packet.startswith(name):
            return packet[len(name) :]
    return packet[4:] if packet[:1] and packet[0] & 127 == _FLAC_COMMENTS else b""


def _parse_vorbis_comments(data: bytes) -> dict[str, str]:
    said = (comment.partition(b"=") for comment in _iterate_vorbis_comments(data))
    return common_tags((key.decode("latin-1"), undeclared_text(text)) for key, mark, text in said if mark)


def _iterate_vorbis_comments(data: bytes) -> Iterator[bytes]:
    at = 4 + int.from_bytes(data[:4], "little") + 4  # the writer's name, and the number of comments
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        if at + 4 + size > len(data):
            return
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def _read_ape_tag(fd: int, end: int) -> dict[str, str]:
    """Reads an APE tag at the end of an mp3. Items have a size, flags, a key, a zero, and values separated by zeros."""
    foot = os.pread(fd, 32, max(0, end - 32))
    size = int.from_bytes(foot[12:16], "little")
    if foot[:8] != b"APETAGEX" or not 32 <= size <= min(end, MAX_COMMENTS):
        return {}
    data, at, found = os.pread(fd, size - 32, end - size), 0, list[tuple[str, str]]()
    while at + 9 < len(data):
        count, flags = (int.from_bytes(data[at + n : at + n + 4], "little") for n in (0, 4))
        key, mark, _ = data[at + 8 : at + 264].partition(b"\0")
        at += 8 + len(key) + 1
        if not mark or at + count > len(data):
            break
        if not flags & 6:  # text
            found += [(key.decode("latin-1"), undeclared_text(text)) for text in data[at : at + count].split(b"\0")]
        at += count
    return common_tags(found)


# ---- Sound file tags beyond libsndfile's: ID3 of mp3, wav and aiff, bpm and key, and chunks of loops and cues

ESTIMATED_TAGS = ("bpm", "key")
"""Estimated tags, written only on request: copied from another file they may be wrong."""
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
        # marked as front cover
        body = b"\0" + cover.mime.encode("latin-1", "replace") + b"\0\x03\0" + cover.data
        frames += b"APIC" + _synchsafe(len(body)) + b"\x00\x00" + body
    return b"ID3\x04\x00\x00" + _synchsafe(len(frames)) + frames if frames else b""


def id3_chunk(big: bool, tags: Mapping[str, str], cover: Cover | None = None) -> bytes:
    """ID3 chunk of an aiff (`big`) or wav file."""
    data = id3(tags, cover)
    name, order = (b"ID3 ", "big") if big else (b"id3 ", "little")
    return name + (len(data) + len(data) % 2).to_bytes(4, order) + data + bytes(len(data) % 2)  # type: ignore[arg-type]


def append_chunks(fd: int, chunks: bytes) -> bool:
    """Appends whole chunks to a complete wav or aiff file; returns False if its 32-bit size leaves no room."""
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
    """Inserts a picture block after the first block of a complete FLAC file."""
    # marked as front cover, without its size in pixels
    mime, size = cover.mime.encode("ascii", "replace"), len(cover.data)
    block = b"\0\0\0\x03" + len(mime).to_bytes(4, "big") + mime + bytes(20) + size.to_bytes(4, "big") + cover.data
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
                    _write_page_checksum(fd, page, bytes(head[page:]))


def _write_page_checksum(fd: int, at: int, data: bytes) -> None:
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
