"""What a performer chooses of the player's beat, and the count: octave, bar line, taps, range."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from antiphon.api.backends.transports import NOW, OscRequest, RequestError, SetParam
from antiphon_follow.addresses import fire
from antiphon_follow.clock import SURE, BeatCounter, ChosenBeatEstimate


def found(bpm: float, place: int = 0, phase: float = 0.0) -> Any:
    return SimpleNamespace(phase=phase, period=60.0 / bpm, place=place, meter=4, sureness=1.0)


def test_what_the_count_catches_up_stays_in_the_range() -> None:
    count, beats = BeatCounter(SURE, 60.0, 200.0), []
    for frame in range(1500):
        # the player's phase is a third of a beat away again every five seconds
        beat = frame / 100.0 * 190.0 / 60.0 + 0.35 * (frame // 500)
        answer = SimpleNamespace(phase=beat % 1.0, period=60.0 / 190.0, place=int(beat) % 4, meter=4, sureness=1.0)
        count.advance(0.01, answer, 0.0)
        beats.append(count.beat)
    speed = np.diff(np.array(beats[1:])) * 6000.0
    assert speed.min() >= 60.0 - 1e-6
    assert speed[speed < 3000.0].max() <= 200.0 + 1e-6
    assert abs((beats[-1] - beat + 0.5) % 1.0 - 0.5) < 0.1


def test_a_count_that_cannot_be_faster_is_met_from_the_other_side() -> None:
    count, off = BeatCounter(SURE, 60.0, 200.0), []
    for frame in range(400):
        # from the first second on the player is two fifths of a beat ahead
        beat = frame / 100.0 * 198.0 / 60.0 + 0.4 * (frame >= 100)
        count.advance(0.01, found(198.0, int(beat) % 4, beat % 1.0), 0.0)
        off.append(abs((count.beat - beat + 0.5) % 1.0 - 0.5))
    assert off[100] > 0.35
    assert max(off[280:]) < 0.05


def request(*types: str) -> OscRequest:
    nodes = {f"n{n}": SimpleNamespace(info=SimpleNamespace(type=name)) for n, name in enumerate(types)}
    server: Any = SimpleNamespace(nodes=lambda: nodes)
    return OscRequest(server, (), "a test", NOW, print)


def test_an_address_presses_the_buttons_of_every_node_follow() -> None:
    pressed = fire("half", request("reverb", "follow", "follow"))
    assert pressed == [SetParam("n1", "half", 1.0), SetParam("n2", "half", 1.0)]


def test_an_address_without_a_node_follow_is_refused() -> None:
    with pytest.raises(RequestError, match="there is no node follow in the patch"):
        fire("tap", request("reverb"))


def test_half_and_double_change_the_octave_within_the_range() -> None:
    answer = ChosenBeatEstimate(60.0, 200.0)
    answer.take(found(140.0))
    answer.halve()
    answer.take(found(140.0, place=3, phase=0.5))
    assert (60.0 / answer.period, answer.place, answer.phase) == pytest.approx((70.0, 1, 0.75))
    answer.halve()
    answer.double()
    answer.double()
    answer.take(found(140.0))
    assert 60.0 / answer.period == pytest.approx(140.0)


@pytest.mark.parametrize(("seconds", "bpm"), [(0.86, 70.0), (0.43, 140.0), (0.2, 140.0), (0.0, 140.0)])
def test_two_taps_choose_the_octave_nearest_to_them(seconds: float, bpm: float) -> None:
    answer = ChosenBeatEstimate(60.0, 200.0)
    answer.take(found(140.0))
    answer.take_tap(seconds)
    answer.take(found(140.0))
    assert 60.0 / answer.period == pytest.approx(bpm)


@pytest.mark.parametrize(("taps", "phase"), [((0.5, 0.5), 0.6), ((0.5, 0.45), 0.6), ((0.5, 0.05), 0.1), ((0.5,), 0.1)])
def test_two_taps_between_beats_move_them_by_half(taps: tuple[float, ...], phase: float) -> None:
    answer, since = ChosenBeatEstimate(60.0, 200.0), math.inf
    for place, at in enumerate(taps):
        answer.take(found(120.0, place, at))
        answer.take_tap(since)
        since = 0.5
    answer.take(found(120.0, phase=0.1))
    assert answer.phase == pytest.approx(phase)
    assert 60.0 / answer.period == pytest.approx(120.0)


def test_downbeat_begins_a_bar_at_the_nearest_beat() -> None:
    answer = ChosenBeatEstimate(60.0, 200.0)
    answer.take(found(120.0, place=2, phase=0.1))
    answer.begin_bar()
    answer.take(found(120.0, place=2, phase=0.1))
    assert (answer.place, answer.phase) == (0, pytest.approx(0.1))
    answer.take(found(120.0, place=3, phase=0.1))
    assert answer.place == 1
    answer.begin_bar()
    answer.take(found(120.0, place=3, phase=0.1))
    assert (answer.place, answer.phase) == (0, pytest.approx(0.1))
