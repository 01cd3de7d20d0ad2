"""The change from one driver to another while the loop plays on; for the loader's thread."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from antiphon.kernel.engine.drivers.base import Driver, DriverOptions
from antiphon.kernel.engine.drivers.headless import Headless
from antiphon.kernel.engine.loop import EngineLoop
from antiphon.kernel.errors import EngineError, sentence

TURN_SECONDS = 5.0
"""Seconds within which the loop must switch to a driver: the fade takes 20 ms, the wait for a silent device 0.5 s."""


class DriverChange:
    """Opens devices for a loop, and closes those it has left."""

    def __init__(self, loop: EngineLoop, options: DriverOptions, make: Callable[[str, DriverOptions], Driver]) -> None:
        """`options`: those of the loop's driver; `make`: opens a driver, or raises `EngineError`."""
        self._loop, self._options, self._make = loop, options, make

    def change_to(self, name: str, options: dict[str, Any]) -> str:
        """Changes to the driver `name`. Returns "", or why it cannot be opened; then the previous one plays on.

        Raises EngineError: the loop hangs.

        From or to the software clock, one is opened while the other plays. Between two devices, the first is closed
        before the second is opened, since a library or a card holds one at a time; until then the software clock
        computes, so that nodes and beat continue.
        """
        old, chosen, problem = self._loop.driver, replace(self._options, **options), ""
        # PortAudio may hold JACK's library itself
        alone = Headless.name not in (old.name, name)
        if alone:
            self._turn(Headless(self._options), sounds=False)
        try:
            if alone:
                old.stop()
            new = self._make(name, chosen)
        except Exception as error:
            if not alone:
                return sentence(error)
            new, problem = self._again(old.name, sentence(error))
        if not problem:
            self._options = chosen
        self._turn(new, sounds=True)
        if not alone:
            old.stop()
        return problem

    def _again(self, name: str, problem: str) -> tuple[Driver, str]:
        """Reopens the closed driver, or else the software clock. Returns it, and the problem with its outcome."""
        try:
            return self._make(name, self._options), problem
        except Exception as error:
            again = f"{problem}; the old one does not open again either: {sentence(error)}"
            return Headless(self._options), again

    def _turn(self, driver: Driver, *, sounds: bool) -> None:
        self._loop.change(driver, sounds=sounds)
        deadline = time.monotonic() + TURN_SECONDS
        while self._loop.changing:
            if time.monotonic() > deadline:
                self._loop.change(driver)  # it sounds when the loop goes on
                raise EngineError("the engine's loop takes no other device; it is restarted where it hangs")
            time.sleep(0.001)
