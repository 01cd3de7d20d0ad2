"""The sets of patches/live, rendered: they sound, do not clip, and their parts begin where their patterns say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction as F
from pathlib import Path

import numpy as np
import pytest
from tests import audio

from antiphon.contract.block import StreamSpec
from antiphon.graph.patch import load
from antiphon.live.records import LiveEvent
from antiphon.offline.rendering import PlayerRunner, param_finder
from antiphon.offline.runner import process_stream
from antiphon.offline.script_run import ScriptProcess, commands, frames_of
from antiphon.plugins import loader
from antiphon.runtime import resources
from antiphon.session.notes import Players

RATE = 48000
SETS = sorted((resources.patches() / "live").glob("*.py"))
# set → bars from and to, RMS in dB from and to of what is rendered, notes of the whole set from and to
EXPECTED = {
    "bells": (0, 4, (-36, -24), (120, 180)),
    "build": (12, 16, (-19, -11), (800, 950)),
    "phase": (0, 6, (-28, -18), (1100, 1250)),
}


def performed(path: Path, bars: int | None = None) -> tuple[F, list[LiveEvent]]:
    """Beats of the bars, and the events; without bars the length that the set's own command names."""
    named = re.search(r"antiphon render patches/live/\S+ --bars (\d+)", path.read_text())
    assert named is not None, "a set says how it is rendered"
    with ScriptProcess(str(path)) as script:
        beats = script.header.bar * (bars or int(named[1]))
        return beats, script.play(beats, 120.0)


def begun(events: Sequence[LiveEvent]) -> list[LiveEvent]:
    return [event for event in events if event.address.endswith(("/note/on", "/play"))]


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_a_set_sounds_and_does_not_clip(path: Path) -> None:
    first, last, level, notes = EXPECTED[path.stem]
    beats, events = performed(path)
    assert notes[0] <= len(begun(events)) <= notes[1]
    loaded = loader.load(check=False)
    patch = load("band", loaded.catalog)
    bar = beats / int(re.search(r"--bars (\d+)", path.read_text())[1])  # type: ignore[index]
    # bars from the middle of a set, moved to the beginning, with the settings before them
    low, high = first * bar, last * bar
    tempo = next(event for event in events if event.address == "/tempo")
    part = [
        LiveEvent(max(F(0), e.beat - low), e.address, e.args, e.source, e.line)
        for e in events
        if low <= e.beat < high or (e.beat < low and e not in begun(events) and not e.address.startswith("/note"))
    ]
    find, players = param_finder(patch.graph, loaded.catalog), Players(patch.graph, loaded.catalog)
    runner = PlayerRunner(
        patch.graph, loaded.catalog, loaded.make, StreamSpec(RATE, 1024, 2), 120.0,
        commands(part, path.name, RATE, find, players),
    )  # fmt: skip
    frames = frames_of([tempo], high - low, RATE, 120.0)
    heard = np.concatenate([y.copy() for y in process_stream((), runner, frames)], axis=1)
    runner.close()
    assert runner.failures == []
    assert runner.dropped == 0
    assert heard.shape == (2, frames)
    assert np.abs(heard).max() < 0.95, "it would clip"
    assert level[0] <= audio.level(heard) <= level[1]
    seconds = frames / RATE
    assert all(audio.level(heard[:, k * frames // 8 : (k + 1) * frames // 8]) > -50 for k in range(8)), (
        "it falls silent"
    )
    assert len(audio.attacks(heard)) > seconds / 3


def test_each_set_is_checked() -> None:
    assert {path.stem for path in SETS} == set(EXPECTED)


def test_the_build_builds() -> None:
    """Kicks on every beat but for bars 20 to 24; hats from bar 4, the bass from bar 12."""
    _, events = performed(resources.patches() / "live" / "build.py")
    kicks = [event.beat for event in begun(events) if event.source == "kick"]
    assert kicks == [F(k) for k in range(128) if not 80 <= k < 96]
    assert min(event.beat for event in begun(events) if event.source == "hats") >= 16
    assert min(event.beat for event in begun(events) if event.source == "bass") == 48
    claps = {event.beat % 4 for event in begun(events) if event.source == "claps" and event.beat % 16 >= 4}
    assert claps == {F(1), F(3)}


def test_the_phase_goes_through_a_whole_line() -> None:
    _, events = performed(resources.patches() / "live" / "phase.py")
    left, right = ([event.beat for event in begun(events) if event.source == side] for side in ("left", "right"))
    assert left == [F(k, 4) for k in range(576)]
    assert right == [F(k, 4) * F(48, 49) for k in range(588)], "49 lines in the time of 48"


def test_the_bells_answer_each_chord() -> None:
    _, events = performed(resources.patches() / "live" / "bells.py")
    chords = [event.beat for event in begun(events) if event.source == "ground" and event.args[1] == 75]
    assert chords == [F(8 * k) for k in range(8)]
    bells = [event.beat for event in begun(events) if event.source == "bells"]
    assert all(any(1 <= bell - chord <= 8 for bell in bells) for chord in chords)
