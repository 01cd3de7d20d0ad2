"""The live sets of docs/gallery.md are what tools/live_sets.py makes of them as they are, without a render."""

from __future__ import annotations

import re
import struct

import pytest
from tools import live_sets as sets, patch_pages as pages

RENEW = ".venv/bin/python tools/live_sets.py"
LARGEST = 60_000
"""Bytes of a picture."""
PICTURES = sorted(path.stem for path in sets.FOLDER.glob("*.png"))


def test_the_page_is_made_of_the_figures_and_the_sets() -> None:
    _, text = pages.parts()
    assert text == sets.page(sets.accepted_figures()), f"write it again: {RENEW} --text"
    assert sets.names() == PICTURES == re.findall(r"\(live-sets/(\w+)\.png\)", text)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_small_png_of_its_size(name: str) -> None:
    data = (sets.FOLDER / f"{name}.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (pages.WIDTH, pages.HEIGHT)
    assert len(data) < LARGEST


@pytest.mark.parametrize("name", sets.names())
def test_a_set_says_what_happens_in_it(name: str) -> None:
    said, bars = sets.description(name)
    assert re.fullmatch(r"[A-Z].{60,400}[.]", said)
    assert bars >= 15
