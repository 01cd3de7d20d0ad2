"""OSC address patterns, matched part by part in time bounded by the lengths, whatever the pattern.

A part is compiled into a row of positions, each with a character set; the positions reached are the bits of one
integer, which is advanced for each character of the name. There is no backtracking, so `*?*?*?…` costs as much as
`abcdef…`.
"""

from dataclasses import dataclass
from functools import lru_cache

from antiphon.kernel.errors import WireError

MAX_PATTERN = 512
"""Maximum bytes of an address with a pattern."""
SPECIAL = frozenset(b"*?[]{}")
_STAR, _ANY, _OPEN, _CLOSE, _LEFT, _RIGHT, _COMMA, _NOT, _TO = b"*?[]{},!-"


def is_pattern(address: bytes) -> bool:
    return not SPECIAL.isdisjoint(address)


def matches(address: bytes, name: bytes) -> bool:
    """True if a pattern matches an address; False if it is malformed, or is no pattern."""
    parts, names = address.split(b"/"), name.split(b"/")
    if not is_pattern(address) or len(address) > MAX_PATTERN or len(parts) != len(names):
        return False
    try:
        return all(compile_part(part).matches(own) for part, own in zip(parts, names, strict=True))
    except WireError:
        return False


@dataclass(frozen=True, slots=True)
class _Group:
    """A `{a,b}`: from `start` to each of `ways`, from each of `ends` to `after`. All are bit masks."""

    start: int
    ways: int
    ends: int
    after: int


@dataclass(frozen=True, slots=True)
class Part:
    """One compiled part of a pattern."""

    takes: dict[int, int]
    others: int
    loops: int
    groups: tuple[_Group, ...]
    accept: int

    def matches(self, name: bytes) -> bool:
        state = self._spread(1)
        takes, others, loops = self.takes, self.others, self.loops
        for code in name:
            state = ((state & takes.get(code, others)) << 1) | (state & loops)
            if self.groups:
                state = self._spread(state)
            if not state:
                return False
        return bool(state & self.accept)

    def _spread(self, state: int) -> int:
        for group in self.groups:
            if state & group.start:
                state |= group.ways
            if state & group.ends:
                state |= group.after
        return state


@lru_cache(maxsize=64)
def compile_part(part: bytes) -> Part:
    """Compiles the part of a pattern between two slashes; `WireError` if it is malformed."""
    return _Compiler(part).part()


class _Compiler:
    def __init__(self, text: bytes) -> None:
        self.text, self.at, self.place = text, 0, 0
        self.takes: dict[int, int] = {}
        self.refuses: dict[int, int] = {}
        self.others = self.loops = 0
        self.groups: list[_Group] = []

    def part(self) -> Part:
        while self.at < len(self.text):
            code = self.text[self.at]
            if code == _LEFT:
                self.compile_alternatives()
            elif code == _RIGHT:
                raise WireError("a pattern has a } without its {")
            else:
                self.element(code)
        codes = self.takes.keys() | self.refuses.keys()
        table = {c: self.takes.get(c, 0) | (self.others & ~self.refuses.get(c, 0)) for c in codes}
        return Part(table, self.others, self.loops, tuple(self.groups), 1 << self.place)

    def element(self, code: int) -> None:
        self.at += 1
        if code == _STAR:
            self.loops |= 1 << self.place
        elif code == _ANY:
            self.others |= 1 << self.place
            self.place += 1
        elif code == _OPEN:
            self.compile_char_class()
        elif code == _CLOSE:
            raise WireError("a pattern has a ] without its [")
        else:
            self.takes[code] = self.takes.get(code, 0) | 1 << self.place
            self.place += 1

    def compile_char_class(self) -> None:
        end = self.text.find(b"]", self.at)
        if end < 0:
            raise WireError("a pattern has a [ without its ]")
        inside = self.text[self.at : end]
        self.at = end + 1
        negated = inside[:1] == b"!"
        codes = _members(inside[1:] if negated else inside)
        if not codes:
            raise WireError("a pattern has an empty []")
        table = self.refuses if negated else self.takes
        for code in codes:
            table[code] = table.get(code, 0) | 1 << self.place
        if negated:
            self.others |= 1 << self.place
        self.place += 1

    def compile_alternatives(self) -> None:
        # each alternative occupies consecutive states and ends in one without transitions; `_Group` joins them
        if self.text.find(b"}", self.at) < 0:
            raise WireError("a pattern has a { without its }")
        start = 1 << self.place
        self.at += 1
        self.place += 1
        ways, ends = 1 << self.place, 0
        while True:
            code = self.text[self.at] if self.at < len(self.text) else 0
            if code == _LEFT:
                raise WireError("a pattern has a { inside another")
            if code in (_RIGHT, _COMMA, 0):
                ends |= 1 << self.place
                self.place += 1
                self.at += 1
                if code == 0:
                    raise WireError("a pattern has a { without its }")
                if code == _RIGHT:
                    break
                ways |= 1 << self.place
            else:
                self.element(code)
        self.groups.append(_Group(start, ways, ends, 1 << self.place))


def _members(inside: bytes) -> set[int]:
    codes: set[int] = set()
    at = 0
    while at < len(inside):
        if at + 2 < len(inside) and inside[at + 1] == _TO:
            low, high = sorted((inside[at], inside[at + 2]))
            codes.update(range(low, high + 1))
            at += 3
        else:
            codes.add(inside[at])
            at += 1
    return codes
