"""The fixtures: a home of its own, and a control process with MIDI."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.control.conftest import home

from antiphon_midi.tests.midi_rig import MidiStage, staged

__all__ = ["home"]


@pytest.fixture
async def live(tmp_path: Path, home: Path) -> AsyncIterator[MidiStage]:
    async with staged(tmp_path / "state", there=["keys 20:0"], outputs=["gear"]) as made:
        yield made
