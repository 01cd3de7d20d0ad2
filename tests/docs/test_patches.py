"""The patches of docs/gallery.md are what tools/patch_pages.py makes of them as they are, without a render."""

from __future__ import annotations

import re
import struct

import pytest
from tools import patch_pages as pages
from tools.performances import PERFORMANCES

RENEW = ".venv/bin/python tools/patch_pages.py"
MOST = 2_000_000
"""Bytes of all pictures."""
PICTURES = sorted(path.stem for path in pages.FOLDER.glob("*.png"))


def test_the_figures_are_of_the_patches_as_they_are() -> None:
    figures = pages.written_figures()
    assert set(figures) == set(PERFORMANCES), f"renew them: {RENEW}"
    changed = [name for name, found in figures.items() if found.digest != pages.digest(name)]
    assert not changed, f"renew their figures: {RENEW} {' '.join(changed)}"


def test_the_page_is_made_of_the_figures_and_the_patches() -> None:
    text, _ = pages.parts()
    assert text == pages.page(pages.shipped_patches(), pages.written_figures()), f"write it again: {RENEW} --text"
    assert PICTURES
    assert set(re.findall(r"\(patches/(\w+)\.png\)", text)) == set(PICTURES)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_png_of_its_size(name: str) -> None:
    data = (pages.FOLDER / f"{name}.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (pages.WIDTH, pages.HEIGHT)


def test_the_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in pages.FOLDER.iterdir()) < MOST
