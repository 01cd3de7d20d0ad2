"""What `tests/tidal.py` finds in a recording."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.tidal import RATE, OnsetErrors, RelayedEvent, blocks, onset_errors


def measured(tmp_path: Path, shifts: dict[int, int]) -> OnsetErrors:
    """Errors of 50 events, those of `shifts` by so many frames, whose time tags lie between frames."""
    at = 1000.3 + np.arange(50) * 1333.77
    events = [RelayedEvent(int(1e18) + round(frame * 1e9 / RATE), 0.4, {}) for frame in at]
    frames = np.rint(at).astype(int) + np.array([shifts.get(n, 0) for n in range(50)])
    sound = np.zeros(80_000, np.float32)
    sound[frames] = 0.5
    soundfile.write(tmp_path / "out.wav", sound, RATE, subtype="FLOAT")
    return onset_errors(tmp_path / "out.wav", events)


def test_events_on_their_frames_are_exact(tmp_path: Path) -> None:
    errors = measured(tmp_path, {})
    assert errors.exact
    assert 0.0 < errors.spread <= 1.0


@pytest.mark.parametrize("shifts", [{20: 2}, {0: 300}, {0: 5000, 1: -40, 30: 2}])
def test_each_event_off_its_frame_is_found_also_the_first(tmp_path: Path, shifts: dict[int, int]) -> None:
    errors = measured(tmp_path, shifts)
    assert (errors.off, errors.extra) == (len(shifts), len(shifts))


def test_a_file_of_tidals_code_is_its_blocks() -> None:
    assert blocks('-- a set\n\nd1 $ sound "bd"\n   # n 1\n\n-- more\nd2 silence\n\n\nhush\n') == [
        'd1 $ sound "bd"\n   # n 1',
        "d2 silence",
        "hush",
    ]
