"""A control process per test, on free ports, with a fake engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.control.rig import Client, Rig, rig


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
async def live(tmp_path: Path, home: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "state") as made:
        yield made


@pytest.fixture
def client(live: Rig) -> Client:
    return live.client()
