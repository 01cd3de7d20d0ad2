"""Chromium for tests, which are skipped where it is not installed."""

import pytest

from antiphon_bench.chromium import BINARY, BrowserTab as Tab, Chromium

__all__ = ["BINARY", "TWO_FRAMES", "Chromium", "Tab", "needs_chromium"]
needs_chromium = pytest.mark.skipif(not BINARY, reason="Chromium is not installed: apt-get install chromium")
TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Until the page has been laid out and drawn anew."""
