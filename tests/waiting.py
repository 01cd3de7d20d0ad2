"""Waiting for what a real server does, not for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest


def until(true: Callable[[], object], seconds: float, what: str) -> None:
    """Returns once `true()` is; fails the test, with `what`, when it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.01)
