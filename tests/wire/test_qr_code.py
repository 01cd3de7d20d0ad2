"""QR codes, read back: finder patterns, format, mask, Reed-Solomon syndromes, and the text."""

from __future__ import annotations

import pytest

from antiphon.errors import WireError
from antiphon.wire import qr_code


def read(rows: qr_code.Rows) -> str:
    """The text of an undamaged code; fails where a syndrome is not zero."""
    size = len(rows)
    version = (size - 17) // 4
    places = qr_code._format_places(size)
    bits = [rows[y][x] for y, x in places[:15]]
    assert bits == [rows[y][x] for y, x in places[15:]]
    mask = next(m for m in range(8) if qr_code._format_bits(m) == bits)
    fixed = qr_code._patterns(version)
    path = [(y, x) for y, x in qr_code._path(size) if fixed[y][x] is None]
    plain = "".join("01"[rows[y][x] ^ qr_code._MASKS[mask](y, x)] for y, x in path)
    words = [int(plain[at : at + 8], 2) for at in range(0, len(plain) - 7, 8)]
    shape = qr_code.VERSIONS[version - 1]
    words = words[: shape.blocks * (shape.data + shape.correction)]
    data = b""
    for block in range(shape.blocks):
        one = words[block :: shape.blocks]
        root = 1
        for _ in range(shape.correction):
            value = 0
            for word in one:
                value = qr_code._times(value, root) ^ word
            assert value == 0
            root = qr_code._times(root, 2)
        data += bytes(one[: shape.data])
    number = int.from_bytes(data, "big") >> 4
    assert data[0] >> 4 == 4, "byte mode"
    length = (data[0] & 15) << 4 | data[1] >> 4
    return (number & ((1 << 8 * (len(data) - 1)) - 1)).to_bytes(len(data) - 1, "big")[1 : 1 + length].decode()


@pytest.mark.parametrize(("length", "size"), [(1, 21), (14, 21), (15, 25), (42, 29), (62, 33), (69, 37), (106, 41)])
def test_a_text_is_read_back_from_the_smallest_code_that_holds_it(length: int, size: int) -> None:
    text = ("https://192.168.100.100:44010/#token=" + 4 * "0123456789abcdef")[-length:]
    rows = qr_code.modules(text)
    assert len(rows) == size
    assert all(len(row) == size for row in rows)
    assert read(rows) == text


def test_format_is_that_of_the_standard_s_table() -> None:
    # ISO/IEC 18004, table C.1: level M, masks 0 and 5
    assert "".join("01"[bit] for bit in qr_code._format_bits(0)) == "101010000010010"
    assert "".join("01"[bit] for bit in qr_code._format_bits(5)) == "100000011001110"


def test_correction_is_that_of_a_published_example() -> None:
    # data and correction codewords of version 1-M with HELLO WORLD, as tutorials of the format print them
    data = [32, 91, 11, 120, 209, 114, 220, 77, 67, 64, 236, 17, 236, 17, 236, 17]
    assert qr_code._correction(data, 10) == [196, 35, 39, 119, 235, 215, 231, 226, 93, 23]


def test_a_longer_text_is_refused() -> None:
    with pytest.raises(WireError, match="holds 106 bytes, not 107"):
        qr_code.modules("x" * 107)
