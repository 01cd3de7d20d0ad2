"""QR codes of short texts (ISO/IEC 18004:2015): byte mode, error correction level M, versions 1 to 6. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import NamedTuple

from antiphon.errors import WireError

Rows = tuple[tuple[bool, ...], ...]
"""The modules, True for a dark one, row after row; without the light border of four modules."""


class _Version(NamedTuple):
    """Table 9 of the standard at level M: codewords of data and of correction in each of so many equal blocks."""

    blocks: int
    data: int
    correction: int


VERSIONS = (
    _Version(1, 16, 10), _Version(1, 28, 16), _Version(1, 44, 26), _Version(2, 32, 18), _Version(2, 43, 24),
    _Version(4, 27, 16),
)  # fmt: skip
MAX_BYTES = VERSIONS[-1].blocks * VERSIONS[-1].data - 2
"""Bytes of a text: the mode, the length and the end take 16 bits."""
_LEVEL_M = 0b00
_FORMAT_MASK = 0b101010000010010
_MASKS: tuple[Callable[[int, int], bool], ...] = (
    lambda y, x: (y + x) % 2 == 0,
    lambda y, x: y % 2 == 0,
    lambda y, x: x % 3 == 0,
    lambda y, x: (y + x) % 3 == 0,
    lambda y, x: (y // 2 + x // 3) % 2 == 0,
    lambda y, x: y * x % 2 + y * x % 3 == 0,
    lambda y, x: (y * x % 2 + y * x % 3) % 2 == 0,
    lambda y, x: ((y + x) % 2 + y * x % 3) % 2 == 0,
)


def modules(text: str) -> Rows:
    """The code of a text.

    Args:
        text: Of at most `MAX_BYTES` bytes in UTF-8.

    Returns:
        The modules, of the version with the fewest.

    Raises:
        WireError: The text is too long.
    """
    content = text.encode()
    number = next((n for n, v in enumerate(VERSIONS, 1) if len(content) + 2 <= v.blocks * v.data), 0)
    if not number:
        raise WireError(f"a QR code of ours holds {MAX_BYTES} bytes, not {len(content)}; shorten the text")
    bits = _bits(_codewords(content, VERSIONS[number - 1]))
    fixed = _patterns(number)
    size = len(fixed)
    plain = [[bool(cell) for cell in row] for row in fixed]
    free = [(y, x) for y, x in _path(size) if fixed[y][x] is None]
    for y, x in free:
        plain[y][x] = next(bits, False)
    codes = []
    for mask, flips in enumerate(_MASKS):
        code = [list(row) for row in plain]
        for y, x in free:
            code[y][x] ^= flips(y, x)
        for (y, x), bit in zip(_format_places(size), 2 * _format_bits(mask), strict=True):
            code[y][x] = bit
        codes.append(tuple(map(tuple, code)))
    return min(codes, key=_penalty)


def _codewords(content: bytes, version: _Version) -> list[int]:
    """Data and correction codewords, interleaved."""
    room = version.blocks * version.data
    stream = int.from_bytes(bytes([0x40 | len(content) >> 4, (len(content) & 15) << 4]), "big")
    # mode 0100, length, the bytes and the end 0000: content is four bits off the codewords
    number = (stream << 8 * len(content)) | int.from_bytes(content, "big") << 4
    data = list(number.to_bytes(len(content) + 2, "big"))
    data += [(0xEC, 0x11)[place % 2] for place in range(room - len(data))]
    blocks = [data[at : at + version.data] for at in range(0, room, version.data)]
    corrections = [_correction(block, version.correction) for block in blocks]
    return [word for part in (blocks, corrections) for words in zip(*part, strict=True) for word in words]


def _times(a: int, b: int) -> int:
    """The product in GF(256) by the polynomial 0x11D."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = a << 1 ^ (0x11D if a & 0x80 else 0)
        b >>= 1
    return product


def _correction(data: list[int], count: int) -> list[int]:
    """The remainder of the data by the Reed-Solomon generator of that degree."""
    generator, root = [1], 1
    for _ in range(count):
        generator = [a ^ _times(b, root) for a, b in zip([*generator, 0], [0, *generator], strict=True)]
        root = _times(root, 2)
    rest = [*data, *[0] * count]
    for place in range(len(data)):
        factor = rest[place]
        for offset, coefficient in enumerate(generator):
            rest[place + offset] ^= _times(coefficient, factor)
    return rest[len(data) :]


def _bits(words: list[int]) -> Iterator[bool]:
    return (bool(word >> place & 1) for word in words for place in range(7, -1, -1))


def _patterns(version: int) -> list[list[bool | None]]:
    """The modules that hold no data; None for those that do. Those of the format are light as yet."""
    size = 17 + 4 * version
    cells: list[list[bool | None]] = [[None] * size for _ in range(size)]
    for middle_y, middle_x in ((3, 3), (3, size - 4), (size - 4, 3)):
        for y in range(max(0, middle_y - 4), min(size, middle_y + 5)):
            for x in range(max(0, middle_x - 4), min(size, middle_x + 5)):
                cells[y][x] = max(abs(y - middle_y), abs(x - middle_x)) not in (2, 4)
    if version > 1:
        middle = size - 7
        for y in range(middle - 2, middle + 3):
            for x in range(middle - 2, middle + 3):
                cells[y][x] = max(abs(y - middle), abs(x - middle)) != 1
    for place in range(8, size - 8):
        cells[6][place] = cells[place][6] = place % 2 == 0
    for y, x in _format_places(size):
        cells[y][x] = False
    cells[size - 8][8] = True
    return cells


def _path(size: int) -> Iterator[tuple[int, int]]:
    """All modules in the order of the data: pairs of columns from the right, upwards and downwards in turn."""
    up = True
    for right in (*range(size - 1, 6, -2), 5, 3, 1):
        for y in range(size - 1, -1, -1) if up else range(size):
            yield from ((y, right), (y, right - 1))
        up = not up


def _format_places(size: int) -> list[tuple[int, int]]:
    """Where the fifteen bits of the format are, and where they are again."""
    first = [*((8, x) for x in (0, 1, 2, 3, 4, 5, 7, 8)), *((y, 8) for y in (7, 5, 4, 3, 2, 1, 0))]
    return [*first, *((y, 8) for y in range(size - 1, size - 8, -1)), *((8, x) for x in range(size - 8, size))]


def _format_bits(mask: int) -> list[bool]:
    """The level and the mask with their BCH code, the first bit first."""
    data = _LEVEL_M << 3 | mask
    rest = data << 10
    for place in range(14, 9, -1):
        if rest >> place & 1:
            rest ^= 0b10100110111 << place - 10
    code = (data << 10 | rest) ^ _FORMAT_MASK
    return [bool(code >> place & 1) for place in range(14, -1, -1)]


def _penalty(rows: Rows) -> int:
    """How hard a code is to read, by section 7.8.3 of the standard."""
    size, score = len(rows), 0
    for lines in (rows, tuple(zip(*rows, strict=True))):
        for line in lines:
            score += sum(count - 2 for _, run in groupby(line) if (count := len(list(run))) >= 5)
            drawn = "".join("#" if dark else "." for dark in line)
            score += 40 * sum(drawn.startswith(("#.###.#....", "....#.###.#"), at) for at in range(size - 10))
    for y in range(size - 1):
        for x in range(size - 1):
            score += 3 * (rows[y][x] == rows[y][x + 1] == rows[y + 1][x] == rows[y + 1][x + 1])
    dark = sum(map(sum, rows))
    return score + 10 * int(abs(dark * 20 - size * size * 10) / (size * size))
