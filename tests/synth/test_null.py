"""The backend that is silent."""

import json
from pathlib import Path

import numpy as np
import pytest

from antiphon.kernel.contract.processor import Event
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.synth import null
from antiphon.kernel.synth.backend import SynthSettings
from antiphon.kernel.synth.null import Null


def _tell(backend: Null, hop: int, *events: Event) -> None:
    out = np.ones((4, 2, 64), np.float32)
    backend.play(1, hop * 64, events)
    backend.render(out, np.array([False, True, False, False]))
    assert np.abs(out[1]).max() == 0.0
    assert out[0].min() == 1.0


def test_it_keeps_what_it_was_told() -> None:
    backend = Null(48000, 64)
    backend.open(1, SynthSettings("bass"))
    _tell(backend, 3, Event("on", 5, 40, 0.5, 2), Event("off", 9, 40, 0.0, 2))
    assert list(backend.received) == [
        {"sample": 192, "slot": 1, "instrument": "bass", "kind": "on", "offset": 5, "number": 40, "value": 0.5,
         "channel": 2},
        {"sample": 192, "slot": 1, "instrument": "bass", "kind": "off", "offset": 9, "number": 40, "value": 0.0,
         "channel": 2},
    ]  # fmt: skip


def test_it_writes_lines_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(null, "MOST", 5)
    path = tmp_path / "notes.jsonl"
    backend = Null(48000, 64, path=str(path))
    backend.open(1, SynthSettings())
    for hop in range(4):
        _tell(backend, hop, Event("on", hop, 60, 1.0), Event("bend", hop, 0, -0.5))
        assert len(path.read_text().splitlines()) == min(5, 2 * (hop + 1))  # at once, for whoever looks
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["sample"] for line in lines] == [0, 0, 64, 64, 128]
    assert (backend.count, backend.lost) == (8, 3)


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(AntiphonError, match="cannot be recorded in"):
        Null(48000, 64, path=str(tmp_path / "no" / "folder"))
