"""Chromium for tests, which are skipped where it is not installed."""

import pytest

from antiphon_bench.chromium import BINARY, BrowserTab as Tab, Chromium

__all__ = ["BINARY", "Chromium", "Tab", "needs_chromium"]
needs_chromium = pytest.mark.skipif(not BINARY, reason="Chromium is not installed: apt-get install chromium")
