"""Every instrument that ships, by notes that fall together in any way: sound, no NaN, and the next note is heard."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings, strategies as st

from antiphon.api import Event, StreamSpec
from antiphon.kernel.plugins import loader
from antiphon.testing import render
from antiphon_soundfont.info import library_file
from antiphon_soundfont.tests import made_font
from antiphon_synth.processor import Synth

RATE = 48000
SPEC = StreamSpec(RATE, 256, 2)
LOADED = loader.load(check=False)
INSTRUMENTS = [
    name
    for name in sorted(LOADED.catalog)
    if any(not port.signal for port in LOADED.catalog[name].inputs)
    and any(port.signal for port in LOADED.catalog[name].outputs)
]
SYNTHS = next(param for param in Synth.params if param.name == "instrument").choices
OF_PYO = ("piano", "bass", "pad", "pluck", "strings", "drums")
CASES = [(name, {}) for name in INSTRUMENTS if name != "synth"]
CASES += [("synth", {"instrument": name}) for name in SYNTHS if name in OF_PYO]
PARAMS = [pytest.param(*case, marks=[pytest.mark.needs("pyo")] * (case[0] == "synth")) for case in CASES]
LISTENS = "answer", "continue", "follow", "listen", "record", "resonator"
"""Those that sound by their input or a recording as well, or after a pause: of one note of theirs nothing is asked."""
NOTES = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0, 1, 255, 256, 4095]),
        st.sampled_from(["on", "on", "on", "off", "bend", "pressure"]),
        st.sampled_from([0, 60, 60, 127]),
        st.sampled_from([0.0, 0.01, 1.0]),
        st.sampled_from([1, 1, 2, 10]),
    ),
    max_size=90,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Files that instruments need, of sounds that are made here."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "kit" / "hit").mkdir(parents=True)
    tone = np.sin(np.arange(RATE) * 2.0 * np.pi * 220.0 / RATE) * np.exp(-3.0 * np.arange(RATE) / RATE)
    soundfile.write(folder / "kit" / "hit" / "0.wav", tone, RATE)
    return {
        "sampler": {"library": str(folder / "kit"), "s": "hit"},
        "mosaic": {"reference": str(folder / "kit" / "hit" / "0.wav")},
        "third": {"reference": str(folder / "kit" / "hit" / "0.wav")},
        "soundfont": {"file": made_font.write(folder)},
    }


@pytest.mark.parametrize(("name", "values"), PARAMS, ids=["-".join([name, *v.values()]) for name, v in CASES])
def test_notes_that_fall_together_in_any_way_leave_an_instrument_that_plays(
    name: str, values: dict[str, str], files: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    if name == "soundfont" and library_file() is None:
        pytest.skip("FluidSynth is not installed")
    rng = np.random.default_rng(1)
    quiet = (0.01 * rng.standard_normal((2, RATE // 2))).astype(np.float32)
    twice = [(0, "on", 64, 0.7, 1), (0, "on", 64, 0.5, 1), (0, "off", 64, 0.0, 1)]
    crowd = [(0, "on", number, 1.0, 1) for number in range(128)]

    @given(NOTES)
    @example(twice)
    @example(crowd)
    @settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
    def plays(notes: list[tuple[int, str, int, float, int]]) -> None:
        events = [Event(kind, at, number, value, channel) for at, kind, number, value, channel in notes]
        events.sort(key=lambda event: event.offset)
        after = [Event("on", RATE // 4, 60, 0.8, 3), Event("off", RATE // 2 - 1, 60, 0.0, 3)]
        node = LOADED.make(name)
        try:
            heard = render(node, SPEC, quiet, {**files.get(name, {}), **values}, notes=[*events, *after]).audio[0]
        finally:
            node.close()
        assert np.isfinite(heard).all()
        assert np.abs(heard).max() < 256.0
        if name not in LISTENS:
            assert np.abs(heard[:, RATE // 4 + 2048 :]).max() > 1e-4

    plays()
