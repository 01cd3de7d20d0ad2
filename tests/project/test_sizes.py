"""docs/architecture.md states the lines of each room; one that grows past them says why and raises its row."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SLACK = 1.02
"""Growth that needs no new row."""


@pytest.fixture(scope="module")
def sizes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sizes", ROOT / "tools" / "sizes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_room_outgrows_its_row(sizes: ModuleType) -> None:
    stated = sizes.read_table(sizes.PAGE.read_text("utf-8"))
    grown = {
        row: (stated.get(row, 0), count) for row, count in sizes.table().items() if count > SLACK * stated.get(row, 0)
    }
    assert grown == {}, "shrink it, or raise its row by `python tools/sizes.py --write` and say in the commit why"
