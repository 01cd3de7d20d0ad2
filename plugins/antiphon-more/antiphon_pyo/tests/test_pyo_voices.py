"""Who gets a voice: rules that hold whatever is played."""

import pytest

pytest.importorskip("pyo")

import os

os.environ.setdefault("PYO_GUI_WX", "0")

import numpy as np
from hypothesis import given, settings, strategies as st

from antiphon_pyo.rack import Glides
from antiphon_pyo.voices import FAR, PHYSICAL, Voices

CHUNK = 256
MOVES = st.lists(
    st.tuples(
        st.sampled_from(("on", "on", "on", "off", "up", "pedal off", "all", "silence")),
        st.integers(0, 40),
        st.integers(1, 2),
        st.integers(0, 300),
    ),
    max_size=120,
)


@settings(max_examples=40)
@given(MOVES, st.integers(1, 32))
def test_voices_are_never_more_and_all_come_back(moves: list[tuple[str, int, int, int]], limit: int) -> None:
    voices, time, done = Voices(48000), 0, 0
    for kind, note, channel, gap in moves:
        time += gap
        while done + CHUNK <= time:
            done += CHUNK
            voices.finish(done)
        match kind:
            case "on":
                busy = voices.ringing.copy()
                voice = voices.take_voice(time, note, channel, limit)
                if voice >= 0:
                    assert not busy[voice]  # a voice that still sounds is given to nobody
                    voices.release[voice] = 2000.0
            case "off" | "pedal off":
                voices.note_off(time, note, channel, pedal=kind == "pedal off")
            case "up":
                voices.release_pedal_notes(time, channel)
            case "all":
                voices.release_channel_notes(time, channel)
            case "silence":
                voices.silence(time, channel)
        assert voices.sounding <= limit
        assert len(voices._free) + np.count_nonzero(voices.ringing) == PHYSICAL
    for channel in (1, 2):
        voices.release_channel_notes(time, channel)
    voices.finish(time + 2000)
    voices.finish(time + 4000)
    assert not voices.ringing.any()
    assert sorted(voices._free) == list(range(PHYSICAL))
    assert voices._held == voices._pedalled == {}


def test_a_choke_ends_its_group_only() -> None:
    voices = Voices(48000)
    opened, crash = voices.take_voice(0, 46, 10, 32, 1), voices.take_voice(0, 49, 10, 32)
    voices.take_voice(100, 42, 10, 32, 1)
    assert voices.kill[opened] == 100
    assert voices.kill[crash] == FAR


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 400), st.floats(-1, 1)), max_size=8), st.sampled_from((16, 64, 256)))
def test_a_glide_has_no_steps_and_arrives(turns: list[tuple[int, float]], frames: int) -> None:
    glides, length, at, turn = Glides(0.0, frames, 50), 50, 0, 0
    when = np.cumsum([gap for gap, _ in turns]).tolist()
    curve = []
    while at < 4000:
        while turn < len(turns) and when[turn] < at + frames:
            glides.start_ramp(3, when[turn] - at, turns[turn][1])
            turn += 1
        glides.finish(frames)
        curve.append(glides.curves[3].copy() if glides.loose[3] else np.full(frames, glides.values[3]))
        at += frames
    whole = np.concatenate(curve)
    assert np.abs(np.diff(whole, prepend=0.0)).max() <= 2.0 / length + 1e-5
    if turns:
        assert whole[-1] == pytest.approx(turns[-1][1], abs=1e-6)
    assert not glides.any_loose
