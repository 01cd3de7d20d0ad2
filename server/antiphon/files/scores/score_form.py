"""Finds the playing order of a score's measures: repeats, endings, da capo, dal segno, fine and coda."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_PLAYED = 1 << 15
"""Maximum number of played measures: a long symphony has 2,000."""


@dataclass(slots=True)
class Signs:
    """Repeats, endings and jumps of a written measure. `endings`: numbers of its ending."""

    forward: bool = False
    backward: int = 0  # how often the section is played; 0 without a repeat sign
    after_jump: bool = False  # the repeat is taken after a jump too
    endings: frozenset[int] = frozenset()
    segno: str | None = None  # names of the signs, as of jumps to them
    coda: str | None = None
    dal_segno: str | None = None
    da_capo: bool = False
    to_coda: str | None = None
    fine: bool = False


_JUMPS = (
    (re.compile(r"\bd\.?\s*c\.?(?![a-z])|\bda\s+capo", re.I), "da_capo"),
    (re.compile(r"\bd\.?\s*s\.?(?![a-z])|\bdal\s+segno", re.I), "dal_segno"),
    (re.compile(r"\bto\s+coda\b", re.I), "to_coda"),
    (re.compile(r"^coda$", re.I), "coda"),
    (re.compile(r"^fine\.?$", re.I), "fine"),
)


def read_worded_jump(signs: Signs, text: str) -> None:
    """Reads a jump that is stated only in words: "D.C. al Fine", "To Coda"."""
    for pattern, name in _JUMPS:
        if pattern.search(text):
            if name in ("da_capo", "fine"):
                setattr(signs, name, True)
            elif getattr(signs, name) is None:
                setattr(signs, name, "")
            return


def numbers_of(text: str) -> frozenset[int]:
    """Parses the numbers of an ending: "1", "1, 2", "1-3"."""
    found: set[int] = set()
    for first, last in re.findall(r"(\d{1,3})(?:\s*-\s*(\d{1,3}))?", text):
        found.update(range(int(first), min(int(last or first), int(first) + 99) + 1))
    return frozenset(found)


def played_order(measures: Sequence[Signs]) -> list[int]:
    """Indices of the written measures in playing order, at most `MAX_PLAYED`.

    After a jump, repeats are skipped, and the last ending is played.
    """
    order: list[int] = []
    taken: set[int] = set()
    groups = _groups(measures)
    at = start = 0
    turn, jumped = 1, False
    while at < len(measures) and len(order) < MAX_PLAYED:
        one, group = measures[at], groups[at]
        leaves = at + 1 == len(measures) or groups[at + 1] is not group
        if one.forward and at != start:
            start, turn = at, 1
        if one.endings and (max(group) if jumped else turn) not in one.endings:
            at += 1
            if leaves:
                start, turn = at, 1
            continue
        order.append(at)
        if jumped and one.fine:
            break
        if jumped and one.to_coda is not None and (coda := _find_sign(measures, "coda", one.to_coda)) is not None:
            at = start = coda
            turn, jumped = 1, False
            continue
        # of endings the last has no repeat sign, or one that means its own end; a single one leads back by its last
        again = turn < one.backward if not one.endings else turn + 1 in group or group == one.endings
        if one.backward and again and (not jumped or one.after_jump):
            turn, at = turn + 1, start
            continue
        if at not in taken and (one.da_capo or one.dal_segno is not None):
            segno = None if one.dal_segno is None else _find_sign(measures, "segno", one.dal_segno)
            if one.da_capo or segno is not None:
                taken.add(at)
                at = start = 0 if segno is None else segno
                turn, jumped = 1, True
                continue
        at += 1
        if leaves if one.endings else one.backward:
            start, turn = at, 1
    return order


def _groups(measures: Sequence[Signs]) -> list[frozenset[int]]:
    """For each measure the numbers of all endings in its row of adjacent ones; one shared object per row."""
    groups: list[frozenset[int]] = []
    first = 0
    for at, one in enumerate(measures):
        if at and bool(one.endings) == bool(measures[at - 1].endings) and not one.forward:
            continue
        groups += (at - first) * [_all_ending_numbers(measures[first:at])]
        first = at
    return groups + (len(measures) - first) * [_all_ending_numbers(measures[first:])]


def _all_ending_numbers(measures: Sequence[Signs]) -> frozenset[int]:
    return frozenset(number for one in measures for number in one.endings)


def _find_sign(measures: Sequence[Signs], kind: str, name: str) -> int | None:
    """Index of a sign with a name, else of the first of its kind; None without any."""
    places = [n for n, one in enumerate(measures) if getattr(one, kind) is not None]
    return next((n for n in places if getattr(measures[n], kind) == name), places[0] if places else None)
