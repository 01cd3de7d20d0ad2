"""Tags of MPEG-4 files that FFmpeg does not read or write: the tempo, and names of their own, as the key.

The boxes are those of "QuickTime File Format" (Apple), whose list `ilst` iTunes defined.
"""

import os
from collections.abc import Iterator

MAX_TEXT = 1 << 16
"""Maximum bytes read of a tag."""
_MAX_BOXES = 4096
_LIST = (b"moov", b"udta", b"meta", b"ilst")
_VERSIONED = {b"meta": 4}
"""Bytes before the boxes within a box."""
_MEAN = b"com.apple.iTunes"
_FREEFORM = {"initialkey": "key", "key": "key", "bpm": "bpm"}
"""Tags by the names that programs give them, in lower case."""
_PICTURES = {13: "image/jpeg", 14: "image/png"}
_HANDLER = bytes(4) + bytes.fromhex("00000021") + b"hdlr" + bytes(8) + b"mdirappl" + bytes(9)
"""Content of a new `meta` before its list."""
Box = tuple[bytes, int, int]
"""Name of a box, and the first and last offset of its content."""


def read_mp4_tags(fd: int) -> dict[str, str]:
    """Reads tempo and key; of a tempo that is stated twice the one with decimals."""
    found: dict[str, str] = {}
    path = _tag_list(fd)
    for name, start, end in _boxes(fd, *path[-1][1:]) if len(path) == len(_LIST) else ():
        parts = {
            inner: os.pread(fd, min(MAX_TEXT, last - first), first) for inner, first, last in _boxes(fd, start, end)
        }
        data = parts.get(b"data", b"")[8:]
        if name == b"tmpo" and 0 < len(data) <= 4 and (tempo := int.from_bytes(data, "big")):
            found.setdefault("bpm", str(tempo))
        elif name == b"----":
            tag = _FREEFORM.get(parts.get(b"name", b"")[4:].decode("utf-8", "replace").lower(), "")
            if tag and (text := data.decode("utf-8", "replace").strip("\0 ")):
                found[tag] = text
    return found


def freeform(name: str, text: str) -> bytes:
    """A tag with a name of its own, for `add_tags`."""
    data = b"\0\0\0\1" + bytes(4) + text.encode()
    return _box(b"----", _box(b"mean", bytes(4) + _MEAN), _box(b"name", bytes(4) + name.encode()), _box(b"data", data))


def cover_tag(mime: str, picture: bytes) -> bytes:
    """A cover picture, for `add_tags`."""
    kind = next((kind for kind, name in _PICTURES.items() if name == mime), 0)
    return _box(b"covr", _box(b"data", kind.to_bytes(4, "big") + bytes(4) + picture))


def read_mp4_cover(fd: int) -> tuple[str, bytes] | None:
    """Media type and bytes of the first cover picture; None without one."""
    path = _tag_list(fd)
    for name, start, end in _boxes(fd, *path[-1][1:]) if len(path) == len(_LIST) else ():
        for inner, first, last in _boxes(fd, start, end) if name == b"covr" else ():
            head = os.pread(fd, 4, first)
            if inner == b"data" and (mime := _PICTURES.get(int.from_bytes(head, "big"))):
                return mime, os.pread(fd, last - first - 8, first + 8)
    return None


def add_tags(fd: int, items: bytes) -> None:
    """Adds tags to a complete file that ends with its `moov`, as FFmpeg writes it."""
    path, size = _tag_list(fd), os.fstat(fd).st_size
    if not path or path[0][2] != size:
        return
    for missing in reversed(_LIST[len(path) :]):
        items = _box(missing, _HANDLER * (missing == b"meta"), items)
    at = path[-1][2]
    rest = os.pread(fd, size - at, at)
    os.pwrite(fd, items + rest, at)
    for _, start, end in path:
        os.pwrite(fd, (end - start + 8 + len(items)).to_bytes(4, "big"), start - 8)


def _box(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return (8 + len(content)).to_bytes(4, "big") + name + content


def _tag_list(fd: int) -> list[Box]:
    """The boxes that hold the list of tags, from outside to inside, as far as they are there."""
    path, start, end = list[Box](), 0, os.fstat(fd).st_size
    for wanted in _LIST:
        box = next((one for one in _boxes(fd, start, end) if one[0] == wanted), None)
        if box is None:
            break
        path.append(box)
        start, end = box[1] + _VERSIONED.get(wanted, 0), box[2]
    return path


def _boxes(fd: int, start: int, end: int) -> Iterator[Box]:
    for _ in range(_MAX_BOXES):
        head = os.pread(fd, 16, start) if start + 8 <= end else b""
        if len(head) < 8:
            return
        size, skip = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, skip = int.from_bytes(head[8:16], "big"), 16
        size = size or end - start
        if size < skip or start + size > end:
            return
        yield head[4:8], start + skip, start + size
        start += size
