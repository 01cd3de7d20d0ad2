"""Medians separate what is struck from what is held."""

from __future__ import annotations

import numpy as np

from antiphon_models.mosaic.medians import separate

RATE = 22050


def test_a_click_is_struck_and_a_tone_is_held() -> None:
    tone = np.sin(2 * np.pi * 440.0 * np.arange(RATE) / RATE)[None].astype(np.float32)
    click = np.zeros_like(tone)
    click[0, RATE // 2] = 5.0
    held, struck = separate(tone + click, RATE)
    inner = slice(4096, -4096)
    assert np.abs(held - tone)[:, inner].std() < 0.15
    assert np.abs(struck[0]).argmax() == RATE // 2
