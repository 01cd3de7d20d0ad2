"""Headless Chromium for tests of the page: the driver of `antiphon bench page`."""

from __future__ import annotations

import pytest

from antiphon_bench.chromium import BINARY, BrowserTab as Tab, Chromium

__all__ = ["Chromium", "Tab", "needs_chromium"]

needs_chromium = pytest.mark.skipif(not BINARY, reason="Chromium is not installed: apt-get install chromium")
