"""Ogg: pages, and the links of a chain, which recordings of radio and files written behind one another are."""

from __future__ import annotations

from dataclasses import dataclass, field

from antiphon.kernel.io.containers.pieces import FileWindow, Link, Piece, Refused

MOST_LINKS = 1000
_MARK, _HEAD, _BEGINS = b"OggS", 27, 2
_FLAC, _FLAC_HEAD = b"\x7fFLAC", 9
"""Signature of FLAC in Ogg, and its length before the stream of a plain FLAC file."""


@dataclass(slots=True)
class OggChain:
    """One link. flac: the number of its FLAC stream, and where that is."""

    start: int
    end: int
    begun: bool = False
    serial: bytes = b""
    flac: list[Piece] = field(default_factory=list)


def ogg_links(fd: int, start: int, end: int) -> tuple[Link, ...]:
    """The links of an Ogg file between two offsets; none where it has no beginning. Raises `Refused`."""
    window, links, at = FileWindow(fd, end), list[OggChain](), start
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
            if len(links) == MOST_LINKS:
                raise Refused(f"it is more than {MOST_LINKS} recordings in one; cut it into parts")
            links.append(OggChain(at, stop))
        if not links:
            return ()
        link = links[-1]
        if head[5] & _BEGINS and not link.serial and window.get(body, 5) == _FLAC:
            link.serial, body = serial, body + _FLAC_HEAD
        if serial == link.serial:
            link.flac.append(range(body, min(stop, end)))
        link.begun |= not head[5] & _BEGINS
        link.end = at = min(stop, end)
    if len(links) == 1 and not links[0].flac and (links[0].start, links[0].end) == (0, end):
        return (Link(),)
    return tuple(Link(tuple(link.flac) or (range(link.start, link.end),)) for link in links)


def _next_page(window: FileWindow, at: int) -> int:
    """Where the next page begins; the end where there is none."""
    while piece := window.get(at, 1 << 16):
        if (found := piece.find(_MARK)) >= 0:
            return at + found
        at += max(1, len(piece) - 3)
    return window.end
