"""The improviser as it streams: what it answers, when, and that nothing hangs."""

from itertools import pairwise
from pathlib import Path

import pytest
from tests.clock import left as notes_left

from antiphon.api import Event
from antiphon.api.backends.files import MidiNote, MidiTrack, write_midi
from antiphon_answer.form import MACHINE, NOBODY, TURNS, YOU
from antiphon_answer.phrasing import Phraser
from antiphon_answer.processor import MODES, Answer
from antiphon_answer.tests.playing import phrase, play


def begun(events: list[tuple[float, Event]]) -> list[tuple[float, int]]:
    return [(at, event.number) for at, event in events if event.kind == "on"]


def left(events: list[tuple[float, Event]]) -> set[int]:
    return {number for _, number in notes_left(event for _, event in events)}


def test_after_a_pause_it_answers_within_a_beat_until_the_bar_line() -> None:
    events, _ = play(phrase(), 44)
    notes = begun(events)
    end = phrase()[-1][1]
    assert end < notes[0][0] <= end + 1.0
    assert {pitch % 12 for _, pitch in notes} <= {0, 2, 4, 5, 7, 9, 11}, "it stays in the key that was played"
    assert 36.0 < events[-1][0] < 40.0, "with air before the bar line"
    assert notes[-1][1] % 12 in (0, 4, 7), "it ends on the tonic's chord"
    assert left(events) == set()


def test_it_is_silent_while_one_plays_and_yields_when_one_goes_on() -> None:
    more = [*phrase(), *phrase(26.0)]
    notes = begun(play(more, 50)[0])
    assert all(at < 26.0 or at > 49.8 for at, _ in notes)
    assert any(at < 26.0 for at, _ in notes)


def test_in_turn_each_has_its_bars() -> None:
    # eight bars each: the answer's are 32 to 64
    notes = begun(play(phrase(), 70, {"mode": "trade", "bars": 8})[0])
    assert 32.0 <= notes[0][0] <= 34.0
    assert all(32.0 <= at < 64.0 for at, _ in notes)


@pytest.mark.parametrize("mode", ["trade", "continue"])
def test_the_time_in_which_it_answers_is_no_rest_of_the_players(mode: str) -> None:
    scale = (60, 62, 64, 65, 67, 65, 64, 62) * 2
    own = [(32.0 * n + k, 32.0 * n + k + 0.9, pitch) for n in range(8) for k, pitch in enumerate(scale)]
    node = Answer()
    notes = begun(play(own, 256.0, {"mode": mode, "bars": 4}, node=node)[0])
    turns = [[at for at, _ in notes if 32 * n + 16 <= at < 32 * n + 32] for n in range(8)]
    assert all(turns)
    memory = node._improviser.memory
    assert memory.count == len(own)
    # a phrase's last note is a beat long, and a pause may precede an answer
    assert max(memory.times[: memory.count]) <= (4 if mode == "trade" else 8)
    assert max(b - a for turn in turns for a, b in pairwise(turn)) < 8.0


def test_every_note_is_published_a_beat_ahead() -> None:
    events, reports = play(phrase(), 62, {"mode": "trade", "bars": 8}, blocks=(64,))
    known = {(report["beat"], report["next"]): at for at, report in reports if "beat" in report}
    for at, number in begun(events)[1:]:
        early = min((at - when for (beat, pitch), when in known.items() if abs(beat - at) < 0.02 and pitch == number))
        assert early > 0.95, "but for the frames of a block"


def test_shadow_and_canon_are_the_players_own_notes() -> None:
    own = [(start, pitch) for start, _, pitch in phrase()]
    for settings, late in (({"mode": "shadow"}, 0.0), ({"mode": "canon", "bars": 2}, 8.0)):
        notes = begun(play(phrase(), 34, settings)[0])
        assert [pitch for _, pitch in notes] == [pitch for _, pitch in own]
        assert [at - late for at, _ in notes] == pytest.approx([at for at, _ in own], abs=1e-3)


def test_a_copied_note_ends_with_its_key_though_another_key_signature_is_found() -> None:
    notes = [
        (n / 2, n / 2 + 0.45, pitch) for n, pitch in enumerate((63, 66, 71, 70, 68, 68, 66, 63, 61, 63, 66, 68) * 2)
    ]
    events = play(notes, 16, {"mode": "shadow", "transpose": 4})[0]
    assert left(events) == set()
    assert len(begun(events)) == len(notes)
    # a key held for longer than the canon is late
    events = play([(0.0, 6.0, 60), (6.0, 7.0, 62)], 16, {"mode": "canon", "bars": 1})[0]
    assert [(round(at, 2), e.kind, e.number) for at, e in events] == [
        (4.0, "on", 60), (10.0, "off", 60), (10.0, "on", 62), (11.0, "off", 62),
    ]  # fmt: skip


def test_accompanying_it_goes_on_while_one_plays() -> None:
    notes = begun(play([*phrase(), *phrase(24.0)], 60, {"mode": "accompany", "bars": 2})[0])
    assert any(8.0 < at < 16.0 for at, _ in notes)
    assert any(32.0 < at < 48.0 for at, _ in notes)
    assert all(at < 58.0 for at, _ in notes), "and stops when one stops"


@pytest.mark.parametrize("mode", MODES)
def test_any_blocks_and_a_replay_give_the_same_notes(mode: str) -> None:
    runs = [play(phrase(), 44, {"mode": mode, "bars": 2}, blocks)[0] for blocks in ((512,), (1, 7, 100, 512), (512,))]
    first = [[(round(at, 6), e.kind, e.number, e.value) for at, e in run] for run in runs]
    assert first[0] == first[1] == first[2]
    assert first[0]


def test_missed_blocks_do_not_end_an_answer() -> None:
    events, _ = play(phrase(), 66, {"mode": "trade", "bars": 8}, changes=[(40.0, "locate", 41.5)])
    assert any(at > 42.0 for at, _ in begun(events))
    assert left(events) == set()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", ["stop", "reset", "locate"])
def test_nothing_hangs(mode: str, what: str) -> None:
    events, _ = play(phrase(), 50, {"mode": mode, "bars": 2}, changes=[(27.3, what, 100.0), (40.0, "stop", 0.0)])
    assert left(events) == set()


def test_panic_forgets() -> None:
    events, reports = play(phrase(), 60, {"mode": "trade", "bars": 8}, changes=[(30.0, "reset", 0.0)])
    assert begun(events) == []
    assert all("known" not in report for _, report in reports)


def test_a_corpus_is_known_before_and_after_a_panic(tmp_path: Path) -> None:
    tune = [MidiNote(start, end - start, pitch - 12) for start, end, pitch in phrase()]
    write_midi(tmp_path / "a.mid", [MidiTrack("melody", tuple(tune))])
    (tmp_path / "b.mid").write_bytes(b"no MIDI")
    _, reports = play(phrase(), 34, {"corpus": str(tmp_path)}, changes=[(0.5, "reset", 0.0)])
    assert max(report["known"] for _, report in reports) == 2 * len(tune) - 1


def test_what_was_played_long_ago_is_dropped_and_the_rest_is_kept() -> None:
    node = Answer()
    play(phrase(), 1, node=node)
    improviser = node._improviser
    improviser.clear()
    for n in range(5000):
        improviser.learn(2 * n, 60 + (0, 2, 4, 5, 7)[n % 5], 0.7)
        improviser.set_length(60, 2.0)
    assert 2048 <= improviser.memory.count <= 4096
    assert improviser.surprise(2 * 5000, 60) < 1.0, "the figure of five notes goes on"
    assert improviser.begin(10016, 10080, 10024, turn=False)
    assert improviser.draw() is not None


@pytest.mark.parametrize("pause", [0.5, 2.0])
def test_a_long_pause_makes_no_turn_of_an_answer(monkeypatch: pytest.MonkeyPatch, pause: float) -> None:
    """Which ends firmly, as `mode=trade` does."""
    asked, begin = [], Phraser.begin

    def spy(self: Phraser, *given: object, turn: bool, source: object) -> None:
        asked.append(turn)
        begin(self, *given, turn=turn, source=source)

    monkeypatch.setattr(Phraser, "begin", spy)
    play(phrase(), 40.0, {"mode": "continue", "pause": pause})
    assert asked
    assert not any(asked)


@pytest.mark.parametrize(("first", "form"), [(0.0, 0), (4.0, 4), (21.9, 20), (7.5, 8), (23.25, 24)])
def test_turns_begin_with_the_players_first_bar_also_after_an_upbeat(first: float, form: int) -> None:
    own = [(start + first, end + first, pitch) for start, end, pitch in phrase() if start + first < form + 8]
    notes = begun(play(own, first + 40.0, {"mode": "trade", "bars": 2})[0])
    assert {int(at - form) // 8 % 2 for at, _ in notes} == {1}
    assert min(at for at, _ in notes) < form + 10.0


def test_it_says_whose_turn_it_is_and_a_rest_ends_the_form() -> None:
    own = [(at + n, at + n + 0.9, 60 + 2 * n) for at in (4.0, 20.0, 54.0) for n in range(6)]
    _, reports = play(own, 80.0, {"mode": "trade", "bars": 2}, blocks=(64,))
    turns = [(round(at - 0.02, 1), TURNS[int(report["turn"])]) for at, report in reports if "turn" in report]
    assert turns == [
        (4.0, YOU),
        (12.0, MACHINE),
        (20.0, YOU),
        (28.0, MACHINE),
        (36.0, YOU),
        (43.0, NOBODY),  # a beat before an answer that has nothing to answer
        (54.0, YOU),  # from beat 52 on
        (60.0, MACHINE),
        (68.0, YOU),
        (75.0, NOBODY),
    ]
