"""The server's clock by a player's beat, in a rendered patch."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from antiphon.api import F64, StreamSpec
from antiphon.api.backends.transports import Command, Play, Sample, SetParam, SetTransport
from antiphon.kernel.contract.event import Event
from antiphon.kernel.graph.graph import Graph, NodeSpec, Wire
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.session.commands import AwaitPlayer, Beat
from antiphon.offline.player import FilePlayer
from antiphon.testing import without_workers
from antiphon_follow.tests.test_follow import BLOCK, RATE, STEADY, SWELL, beats_of, errors, load_all, pianist


def clock_of(
    notes: list[tuple[float, int, float]],
    seconds: float,
    drive: str,
    sound: F64 | None = None,
    commands: Sequence[Command] = (),
    late: int = 0,
    tempo: float = 120.0,
    **values: Any,
) -> F64:
    """(seconds, beat, tempo, node that leads, whether it goes) of a patch's clock, by blocks.

    `late`: frames of the output. Without `sound` no worker runs. It waits for the player where `values` say so.
    """
    loaded = load_all()
    graph = Graph((NodeSpec("follow", "follow", {"drive": drive, "waits": False, **values}),))
    graph = replace(
        graph, wires=(Wire(graph.end("in", "out", loaded.catalog), graph.end("follow", "in", loaded.catalog)),)
    )
    played = [Play("follow", Event("on", 0, key, loud), Sample(round(at * RATE))) for at, key, loud in notes]
    everything = [*played, *commands]
    with nullcontext() if sound is not None else without_workers():
        runner = FilePlayer(graph, loaded.catalog, loaded.make, StreamSpec(RATE, BLOCK, 2), tempo, everything)
    runner._player.time.latency = late
    rows: list[tuple[float, float, float, int, bool]] = []

    def listen(plan: Plan, x: object, y: object, sample: int) -> None:
        time = runner._player.time
        rows.append((sample / RATE, time.beat, time.tempo, runner._player.leader, time.playing))

    runner.listener = listen
    heard = np.zeros((2, round(seconds * RATE)), np.float32)
    if sound is not None:
        heard[:, : len(sound)] = sound
    for first in range(0, heard.shape[1] - BLOCK, BLOCK):
        runner.run(heard[:, first : first + BLOCK])
    runner.close()
    return np.array(rows)


def test_the_clock_takes_the_players_beat_and_never_turns_back() -> None:
    beats = beats_of(SWELL[:64])
    rows = clock_of(pianist(beats), float(beats[-1]), "beat")
    off = errors(rows, beats, 10.0)
    assert np.median(np.abs(off)) < 0.05
    assert np.quantile(np.abs(off), 0.95) < 0.12
    assert (np.diff(rows[:, 1]) > 0.0).all()
    bars = np.interp(rows[-400:, 0], beats, np.arange(len(beats))) % 4.0
    assert np.median(np.abs((rows[-400:, 1] - bars + 2.0) % 4.0 - 2.0)) < 0.2
    assert (np.diff(rows[:, 1])[rows[1:, 0] > 10.0] < 0.06).all()
    frames = np.diff(rows[:, 1]) / rows[:-1, 2] * 60.0 * RATE
    led = (rows[:-1, 3] > 0.0) & (np.diff(rows[:, 1]) < 0.5)
    assert led.sum() > 1000
    assert np.abs(frames[led] - BLOCK).max() < 1e-6, "between two corrections it is off by no sample"


def test_taps_turn_the_clock_to_their_octave_without_a_beat_twice() -> None:
    beats = beats_of(STEADY[:44])
    taps = [SetParam("follow", "tap", 1.0, when=Sample(round(beats[n] * RATE))) for n in (20, 22, 24)]
    rows = clock_of(pianist(beats), float(beats[-1]), "beat", commands=taps)
    assert np.median(rows[rows[:, 0] > beats[26], 2]) == pytest.approx(52.0, rel=0.02)
    assert (np.diff(rows[:, 1]) > 0.0).all()


def test_what_is_pressed_has_the_clock_on_the_bar_that_it_says() -> None:
    beats = beats_of(STEADY[:40])
    presses = (("half", 16.0), ("double", 17.5), ("downbeat", 26.05))
    at = [(name, float(np.interp(beat, np.arange(len(beats)), beats))) for name, beat in presses]
    turns = [SetParam("follow", name, 1.0, when=Sample(round(second * RATE))) for name, second in at]
    rows = clock_of(pianist(beats), float(beats[-1]), "beat", commands=turns)
    true = np.interp(rows[:, 0], beats, np.arange(len(beats)))
    off = (rows[:, 1] - true + 1.0) % 4.0 - 1.0
    assert np.abs(off[(true > 19.0) & (true < 26.0)]).max() < 0.1, "twice as fast again, the player's bars"
    assert np.abs(off[true > 27.0] - 2.0).max() < 0.1, "the third beat of a bar begins one"
    assert (np.diff(rows[:, 1]) > 0.0).all()


def test_a_player_who_comes_early_is_caught_up_with_by_eight_percent_at_most() -> None:
    beats = beats_of(STEADY[:48])
    beats[24:] -= 0.06
    rows = clock_of(pianist(beats), float(beats[-1]), "beat")
    steps = np.diff(rows[:, 1])[rows[1:, 0] > 10.0] * 60.0 * RATE / BLOCK
    assert 104.0 * 0.92 * 0.97 <= steps.min() <= steps.max() <= 104.0 * 1.08 * 1.06, "8 %, and 6 of the tempo's error"
    assert np.abs(errors(rows, beats, float(beats[28]))).mean() < 0.03


def test_the_clock_enters_on_a_bar_line_within_eight_beats() -> None:
    waited = []
    for bpm in (76.0, 100.0, 124.0):
        beats = beats_of(np.full(14, bpm))
        rows = clock_of(pianist(beats), float(beats[-1]), "beat")
        true = np.interp(rows[:, 0], beats, np.arange(len(beats)))
        right = np.abs((rows[:, 1] - true + 2.0) % 4.0 - 2.0) < 0.1
        entered = true[right & (rows[:, 3] > 0.0)]
        waited.append(float(entered[0]) if len(entered) else np.inf)
    assert np.median(waited) <= 8.0


def test_a_clock_that_waits_begins_on_the_players_bar_line() -> None:
    waited = []
    for bpm in (76.0, 100.0, 124.0):
        beats = beats_of(np.full(16, bpm))
        rows = clock_of(pianist(beats), float(beats[-1]), "beat", waits=True)
        goes = rows[:, 4] > 0.0
        first = int(np.argmax(goes))
        assert (rows[:first, 1] == 0.0).all()
        assert (rows[:first, 3] > 0.0).all(), "it says which node it waits for"
        assert (np.diff(rows[first:, 1]) > 0.0).all()
        line = float(np.interp(0.0, rows[first:, 1], rows[first:, 0]))
        waited.append(float(np.interp(line, beats, np.arange(len(beats)))))
        assert abs(waited[-1] - 4.0 * round(waited[-1] / 4.0)) < 0.1
    assert np.median(waited) <= 8.0


def test_a_clock_that_waits_goes_on_from_the_bar_line_after_the_one_before() -> None:
    beats = beats_of(STEADY[:24])
    begun = SetTransport(None, 5.5, Sample(BLOCK))
    rows = clock_of(pianist(beats), float(beats[-1]), "beat", commands=[begun], waits=True)
    first = int(np.argmax(rows[:, 4] > 0.0))
    assert rows[first, 1] == pytest.approx(8.0, abs=0.05)


@pytest.mark.parametrize(
    "release",
    [SetTransport(True, None, Sample(RATE)), SetParam("follow", "on", False, when=Sample(RATE))],
    ids=["the transport is started", "it is turned off"],
)
def test_a_clock_that_waits_begins_without_a_player_where(release: Command) -> None:
    rows = clock_of([], 3.0, "beat", commands=[release], waits=True)
    late = rows[:, 0] > 1.0 + 2.0 * BLOCK / RATE
    assert (rows[rows[:, 0] < 1.0, 1] == 0.0).all()
    assert rows[late, 1] == pytest.approx(2.0 * (rows[late, 0] - 1.0), abs=0.03)
    assert (rows[late, 3] == 0.0).all()


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped before", "while the first song runs"])
def test_a_clock_that_waits_again_begins_the_next_song_as_it_would_the_first(stopped: bool) -> None:
    first, alone = pianist(beats_of(np.full(20, 100.0))), pianist(beats_of(np.full(24, 84.0)))
    begin = 12.8
    at = Sample(round(begin * RATE))
    stop = [SetTransport(False, None, Sample(round(11.8 * RATE)))] if stopped else []
    again = [*stop, AwaitPlayer(1, 0.0, at)]
    notes = [*first, *((begin + seconds, key, loud) for seconds, key, loud in alone)]
    rows = clock_of(notes, begin + 15.0, "beat", commands=again, waits=True)
    assert not stopped or (rows[(rows[:, 0] > 11.9) & (rows[:, 0] < begin), 3:] == 0.0).all()
    rows = rows[rows[:, 0] >= begin]
    expected = clock_of(alone, 15.0, "beat", waits=True, tempo=float(rows[0, 2]))
    goes, alike = (np.argmax(one[:, 4] > 0.0) for one in (rows, expected))
    assert (rows[1:goes, 1] == 0.0).all()
    assert (rows[1:goes, 3] > 0.0).all(), "it says which node it waits for"
    assert rows[goes, 0] - begin == pytest.approx(expected[alike, 0], abs=0.02)
    assert rows[-1, 1] == pytest.approx(expected[-1, 1], abs=0.1)


def test_a_clock_that_runs_waits_from_a_beat_on_for_the_node_that_the_plan_names() -> None:
    rows = clock_of([], 3.0, "beat", commands=[SetTransport(True), AwaitPlayer(0, 8.0, Beat(2.0))], waits=True)
    runs = rows[:, 0] < 1.0 - 2.0 * BLOCK / RATE
    assert rows[runs][1:, 1] == pytest.approx(2.0 * rows[runs][1:, 0], abs=0.03)
    stands = rows[:, 0] > 1.0 + 2.0 * BLOCK / RATE
    assert (rows[stands, 1] == 8.0).all()
    assert (rows[stands, 3] == 1.0).all(), "it says which node it waits for"


def test_a_clock_that_is_stopped_is_not_begun_by_a_player() -> None:
    beats = beats_of(STEADY[:24])
    stop = SetTransport(False, None, Sample(RATE))
    rows = clock_of(pianist(beats), float(beats[-1]), "beat", commands=[stop], waits=True)
    assert (rows[:, 4] == 0.0).all()
    assert (rows[rows[:, 0] > 1.1, 3] == 0.0).all()


def test_notes_without_a_beat_begin_no_clock() -> None:
    times = np.cumsum(np.random.default_rng(3).exponential(0.6, 30))
    rows = clock_of([(float(at), 60, 0.5) for at in times], 16.0, "beat", waits=True)
    assert (rows[:, 4] == 0.0).all(), "it would begin in a tempo that nobody plays"


@pytest.mark.parametrize("bpm", [60.0, 75.0, 92.0])
def test_swung_notes_begin_no_clock_in_a_tempo_of_no_player(bpm: float) -> None:
    bar = (0.0, 2 / 3, 1.0, 5 / 3, 2.0, 3.0, 11 / 3, 4.0, 14 / 3, 5.0, 6.0, 20 / 3, 7.0)
    beats = [at + 8.0 * n for n in range(3) for at in bar]
    notes = [
        (0.5 + at * 60.0 / bpm, 60 + (0, 2, 4, 5, 7, 4, 2, 0, 4, 7, 9, 7, 4)[n % 13], 0.7) for n, at in enumerate(beats)
    ]
    rows = clock_of(notes, notes[-1][0], "beat", waits=True)
    octaves = np.log2(rows[rows[:, 4] > 0.0, 2] / bpm)
    assert np.abs(octaves - np.round(octaves)).max(initial=0.0) < 0.1, "it waits"


@pytest.mark.parametrize("seed", [18, 22, 30])
def test_even_eighths_begin_no_clock_half_a_beat_off(seed: int) -> None:
    random, beat = np.random.default_rng(seed), 60.0 / 88.0
    off = [(random.normal(0.0, 0.02), random.normal(0.0, 0.03)) for _ in range(32)]
    notes = sorted(
        (0.5 + n / 2 * beat + late, 60 + (0, 4, 7, 4, 9, 7, 4, 2)[n % 8], 0.7 + loud)
        for n, (late, loud) in enumerate(off)
    )
    rows = clock_of(notes, notes[-1][0], "beat", waits=True)
    begin = rows[rows[:, 4] > 0.0]
    line = (float(np.interp(0.0, begin[:, 1], begin[:, 0])) - 0.5) / beat
    assert abs(line - round(line)) < 0.15


@pytest.mark.parametrize(("bpm", "seed"), [(88.0, 0), (88.0, 1), (112.0, 0), (112.0, 1)])
def test_an_upbeat_quaver_delays_no_clock(bpm: float, seed: int) -> None:
    random, beat = np.random.default_rng(seed), 60.0 / bpm
    notes = [
        (1.0 + n / 2 * beat + random.normal(0.0, 0.01), key, loud)
        for n in range(-1, 64)
        for key, loud in (
            (60 + (0, 4, 7, 4, 9, 7, 4, 2)[n % 8], 0.6 if n % 2 else 0.8),
            *(((36 + (0, 7, 5, 7)[n // 2 % 4], 0.8),) if n % 2 == 0 else ()),
        )
    ]
    rows = clock_of(sorted(notes), 1.0 + 32 * beat, "beat", waits=True)
    begin = rows[rows[:, 4] > 0.0]
    line = (float(np.interp(0.0, begin[:, 1], begin[:, 0])) - 1.0) / beat
    assert line < 12.5
    assert abs(line - round(line)) < 0.15


def test_four_taps_begin_a_clock_that_waits() -> None:
    beat = 60.0 / 92.0
    taps = [SetParam("follow", "tap", True, when=Sample(round((1.0 + n * beat) * RATE))) for n in range(4)]
    rows = clock_of([], 6.0, "beat", commands=taps, waits=True)
    goes = rows[:, 4] > 0.0
    line = float(np.interp(0.0, rows[goes, 1], rows[goes, 0]))
    assert line == pytest.approx(1.0 + 4 * beat, abs=2.0 * BLOCK / RATE)
    assert rows[goes, 2][1:] == pytest.approx(92.0, abs=0.5)


def test_a_count_in_of_taps_moves_no_beat_of_the_player() -> None:
    beats = beats_of(np.full(32, 100.0))
    taps = [SetParam("follow", "tap", True, when=Sample(round(at * RATE))) for at in beats[:4]]
    notes = pianist(beats, rest=(0, 4))
    rows = clock_of(notes, float(beats[-1]), "beat", commands=taps, waits=True)
    true = np.interp(rows[:, 0], beats, np.arange(len(beats))) - 4.0
    assert np.abs(rows[:, 1] - true)[true > 0.0].max() < 0.1


def test_the_clock_leads_by_the_output_s_latency_unless_another_lead_is_given() -> None:
    notes = pianist(beats_of(STEADY[:24]))
    offline, live, given = (
        clock_of(notes, 13.0, "beat", late=late, **values)
        for late, values in ((0, {}), (1920, {}), (1920, {"lead": 0.0}))
    )
    settled = offline[:, 0] > 9.0
    ahead = (live[settled, 1] - offline[settled, 1]) * 60.0 / 104.0
    assert np.median(ahead) == pytest.approx(0.04, abs=0.002)
    np.testing.assert_array_equal(given, offline)


@pytest.mark.parametrize(("drive", "values"), [("off", {}), ("beat", {"on": False})])
def test_the_clock_stands_by_itself_with_drive_off_and_by_a_switch(drive: str, values: dict[str, Any]) -> None:
    rows = clock_of(pianist(beats_of(STEADY[:16])), 8.0, drive, **values)
    assert rows[:, 1] == pytest.approx(2.0 * rows[:, 0])


@pytest.mark.parametrize("tempo", [120.0, 240.0])
def test_drive_tempo_takes_the_tempo_alone_from_within_and_beyond_the_range(tempo: float) -> None:
    rows = clock_of(pianist(beats_of(STEADY[:30])), 16.0, "tempo", tempo=tempo)
    assert rows[-1, 2] == pytest.approx(104.0, rel=0.02)


def test_half_of_a_player_s_error_is_no_reason_to_leave_the_range() -> None:
    rows = clock_of(pianist(beats_of(STEADY[:30])), 16.0, "beat", range="60-104")
    assert rows[rows[:, 0] > 8.0, 2].max() <= 104.0 + 1e-6


def test_a_silence_is_coasted_through_at_the_tempo_before_it() -> None:
    rows = clock_of(pianist(beats_of(STEADY[:24])), 28.0, "beat")
    assert rows[-1, 2] == pytest.approx(104.0, rel=0.02)
    assert len(set(rows[rows[:, 0] > 19.0, 2])) == 1


@pytest.mark.parametrize("kind", ["noise", "drone", "applause", "no numbers"])
def test_nothing_leads_the_clock_where_nobody_plays(kind: str) -> None:
    random, time = np.random.default_rng(1), np.arange(16 * RATE) / RATE
    applause = np.zeros(len(time))
    for at in random.integers(0, len(time) - 1500, 640):
        applause[at : at + 1500] += 0.05 * np.exp(-np.arange(1500) / 200.0) * random.standard_normal(1500)
    made = {
        "noise": 0.1 * random.standard_normal(len(time)),
        "drone": 0.2 * np.sin(2.0 * np.pi * 110.0 * time),
        "applause": applause,
        "no numbers": np.full(len(time), np.nan),
    }
    rows = clock_of([], 16.0, "beat", made[kind], range="60-180")
    assert rows[:, 3].mean() < 0.03
    assert 60.0 <= rows[:, 2].min() <= rows[:, 2].max() <= 180.0
