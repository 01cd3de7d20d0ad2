"""MPEG audio (mp3): counts frames, without trusting headers; joined files become links at their "Xing" frames."""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from antiphon.files.containers.pieces import FileWindow, Link, Piece, Refused

SYNC_SEARCH_BYTES = 1 << 20
"""Bytes that are searched for the first frame."""
MAX_JUNK = 4096
"""Maximum bytes skipped between two frames; a longer gap is an error."""
_CONFIRMING_FRAMES = 4
"""Consecutive frames that confirm the frame sync."""
_READ_BYTES, _MIN_HEADER_BYTES = 1 << 20, 64
"""Bytes per read; minimum bytes of a frame's header."""
_RATES = (44100, 48000, 32000)
_KBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by version (1, or 2 and 2.5) and layer; layer III has those of layer II in versions 2 and 2.5."""
_DECODER_DELAY = 529
"""Samples per channel that mpg123 drops at the beginning after a header frame, besides the delay stated there."""
_VBRI = 36
"""Offset of the name "VBRI" in its frame."""


@dataclass(frozen=True, slots=True)
class FrameKind:
    """Properties that all frames of a sound share.

    `samples`: samples per channel in a frame. `side`: bytes of a frame before the position of a header's name.
    """

    version: int
    layer: int  # 1 to 3
    rate: int
    mono: bool

    @property
    def samples(self) -> int:
        return 384 if self.layer == 1 else 576 if self.layer == 3 and self.version > 1 else 1152

    @property
    def side(self) -> int:
        return 4 + ((17, 9) if self.mono else (32, 17))[self.version > 1]


@dataclass(slots=True)
class FrameRun:
    """Frames of one kind, and the header frame before them, if there is one: named "Xing", "Info" or "VBRI"."""

    kind: FrameKind
    first: bytes
    header: bytes
    spans: list[Piece] = field(default_factory=list)
    frames: int = 0

    def header_field(self, place: int) -> int | None:
        """A field of the header frame: frames (place 1) or bytes (place 2); None without that field."""
        at = self.kind.side
        flags = int.from_bytes(self.header[at + 4 : at + 8], "big")
        if self.header[at : at + 4] not in (b"Xing", b"Info") or not flags & place:
            return None
        at += 12 if place == 2 and flags & 1 else 8
        return int.from_bytes(self.header[at : at + 4], "big")


def mpeg_links(fd: int, start: int, end: int, *, whole: bool) -> tuple[Link, ...]:
    """Links between offsets, none without frames. Raises `Refused` for broken or truncated ones, or a changing rate."""
    window = FileWindow(fd, end)
    tagged = end_of_id3_tags(window, start)
    first = tagged if _has_frames_at(window, tagged, 2) else _next_frame(window, start)
    if first is None and start < tagged < end:
        first = _next_frame(window, tagged)
    if first is None:
        return ()
    runs = _runs(window, first)
    plain = whole and first == tagged and len(runs) == len(runs[0].spans) == 1
    return tuple(_link(run, plain=plain) for run in runs)


def end_of_id3_tags(window: FileWindow, at: int) -> int:
    """End of the ID3v2 tags at an offset, by their own sizes."""
    while (head := window.get(at, 10))[:3] == b"ID3" and len(head) == 10:
        size = functools.reduce(lambda sum, byte: sum << 7 | byte & 127, head[6:], 0)
        at += 10 + size + (10 if head[5] & 16 else 0)
    return min(at, window.end)


def start_of_end_tags(fd: int, end: int) -> int:
    """Start of an APE and an ID3v1 tag at a file's end."""
    window = FileWindow(fd, end)
    at = end - 128 if end > 128 and window.get(end - 128, 3) == b"TAG" else end
    foot = window.get(at - 32, 32) if at > 32 else b""
    if foot[:8] == b"APETAGEX":
        size = int.from_bytes(foot[12:16], "little") + (32 if foot[23] & 128 else 0)
        at = at - size if size < at else at
    return at


def _runs(window: FileWindow, first: int) -> list[FrameRun]:
    """Finds all runs of frames from the first frame on."""
    runs, at, apart = list[FrameRun](), first, True
    while True:
        head = window.get(at, 4)
        size, double, single = _table()[head[1] << 8 | head[2]]
        kind = single if head[3] >= 0xC0 else double
        header = window.get(at, size)
        if kind.layer != 3 or 0 not in _header_frame_positions(header[: _VBRI + 4], kind):
            header = b""
        if apart or header or kind is not runs[-1].kind:
            runs.append(FrameRun(kind, head, header))
        run = runs[-1]
        begin = at + len(header)
        stop, frames = _walk(window, begin, kind)
        if frames:
            run.spans.append(range(begin, stop))
            run.frames += frames
        after = end_of_id3_tags(window, stop)
        following = after if _has_frames_at(window, after, 2) else _next_frame(window, after)
        junk = (window.end if following is None else following) - after
        apart = junk > MAX_JUNK
        if apart and run.header_field(1) != run.frames:
            seconds = sum(run.frames * run.kind.samples / run.kind.rate for run in runs)
            raise Refused(
                f"it is broken, fetch or make it again: at {seconds:.3f} s are {junk} bytes that are no sound"
            )
        if following is None:
            return runs
        at = following


def _walk(window: FileWindow, at: int, kind: FrameKind) -> tuple[int, int]:
    """End and number of the complete frames of a kind from an offset on, up to a header frame."""
    table, frames, size = _table(), 0, 0
    while data := window.get(at, _READ_BYTES):
        headers = set(_header_frame_positions(data, kind))
        last = len(data) - (_MIN_HEADER_BYTES if at + len(data) < window.end else 3)
        here = 0
        while here < last and data[here] == 0xFF and here not in headers:
            found = table.get(data[here + 1] << 8 | data[here + 2])
            if found is None or found[1 + (data[here + 3] >= 0xC0)] is not kind:
                break
            size = found[0]
            here += size
            frames += 1
        at += here
        if at > window.end:
            return at - size, frames - 1
        if here < last or at + len(data) - here >= window.end:
            break
    return at, frames


def _header_frame_positions(data: bytes, kind: FrameKind) -> Iterator[int]:
    """Possible positions of header frames by their names in `data`."""
    for name, place in ((b"Xing", kind.side), (b"Info", kind.side), (b"VBRI", _VBRI)):
        found = data.find(name)
        while found >= 0:
            yield found - place
            found = data.find(name, found + 1)


def _has_frames_at(window: FileWindow, at: int, needed: int) -> bool:
    """Whether `needed` frames of a kind follow at an offset, or fewer up to the end."""
    count, kind = 0, None
    while len(head := window.get(at, 4)) == 4:
        found = _table().get(head[1] << 8 | head[2]) if head[0] == 0xFF else None
        if found is None or kind not in (None, found[1 + (head[3] >= 0xC0)]):
            return False
        if count == needed or at + found[0] > window.end:
            break
        kind = found[1 + (head[3] >= 0xC0)]
        count, at = count + 1, at + found[0]
    return count > 0


def _next_frame(window: FileWindow, start: int) -> int | None:
    """Finds the first frame within the next `SYNC_SEARCH_BYTES` bytes."""
    for reach in (MAX_JUNK, SYNC_SEARCH_BYTES):
        data = window.get(start, reach)
        at = data.find(0xFF)
        while 0 <= at < len(data) - 2:
            if data[at + 1] << 8 | data[at + 2] in _table() and _has_frames_at(window, start + at, _CONFIRMING_FRAMES):
                return start + at
            at = data.find(0xFF, at + 1)
    return None


def _link(run: FrameRun, *, plain: bool) -> Link:
    """Makes a link. `plain`: whether libsndfile reads the whole file as these frames, given a correct header."""
    promised, size = run.header_field(1), run.header_field(2) or 0
    if promised == run.frames:
        return Link() if plain else Link((run.header, *run.spans))
    if promised is None:
        frames = run.frames * run.kind.samples
        before = _counted(run) if run.kind.layer == 3 else b""
        return Link((before, *run.spans), frames, guessed=plain and not run.header)
    there = len(run.header) + sum(map(len, run.spans))
    if promised > 1.01 * run.frames + 3 and not 0 < size <= there:
        raise Refused(f"it promises {promised} frames of mp3 and {run.frames} follow: fetch or make it again")
    at = run.kind.side + 8
    return Link((run.header[:at] + run.frames.to_bytes(4, "big") + run.header[at + 4 :], *run.spans))


def _counted(run: FrameRun) -> bytes:
    """Makes a header frame with the number of frames, and a silent frame for the delay that mpg123 then drops."""
    kind, place = run.kind, run.kind.side
    head = bytes((0xFF, run.first[1] | 1, run.first[2] & 0x0C | 0x90, run.first[3]))
    size = _table()[head[1] << 8 | head[2]][0]
    numbers = (3, run.frames + 1, 2 * size + sum(map(len, run.spans)))
    said = b"Xing" + b"".join(number.to_bytes(4, "big") for number in numbers)
    left_out = (kind.samples - _DECODER_DELAY << 12).to_bytes(3, "big")
    first = head + bytes(place - 4) + said + b"LAME" + bytes(17) + left_out
    return first.ljust(size, b"\0") + head.ljust(size, b"\0")


@functools.cache
def _table() -> dict[int, tuple[int, FrameKind, FrameKind]]:
    """Frame sizes and kinds, with two channels and with one, by the second and third byte of a frame."""
    table = {}
    for bits, version in ((3, 1), (2, 2), (0, 3)):
        for layer, rate in itertools.product((1, 2, 3), range(3)):
            kinds = [FrameKind(version, layer, _RATES[rate] >> version - 1, mono) for mono in (False, True)]
            kbits = _KBITS.get((min(version, 2), layer), _KBITS[2, 2])
            for index, padding, private, bare in itertools.product(range(14), range(2), range(2), range(2)):
                words = kinds[0].samples // 8 * kbits[index] * 1000 // kinds[0].rate
                size = (words // 4 + padding) * 4 if layer == 1 else words + padding
                second = 0xE0 | bits << 3 | 4 - layer << 1 | bare
                table[second << 8 | index + 1 << 4 | rate << 2 | padding << 1 | private] = (size, kinds[0], kinds[1])
    return table
