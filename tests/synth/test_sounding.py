"""What is remembered of the notes that sound."""

from hypothesis import given, strategies as st

from antiphon.kernel.contract.processor import Event
from antiphon.kernel.synth.controls import FIRST_DIAL
from antiphon.kernel.synth.sounding import MOST, TOLD, Sounding


def told(sounding: Sounding, sample: int) -> list[tuple[str, int, int]]:
    return [(e.kind, e.number, e.age) for e in sounding.again(sample)]


def test_a_held_note_is_told_again_with_its_age() -> None:
    sounding = Sounding()
    sounding.follow(1000, [Event("on", 10, 60, 0.5)])
    assert told(sounding, 5000) == [("on", 60, 3990)]
    sounding.follow(5000, [Event("off", 0, 60)])
    assert told(sounding, 6000) == []


def test_a_notes_own_values_are_told_again_before_it() -> None:
    sounding = Sounding()
    own = [Event("control", 0, number, value) for number, value in ((102, 1.0), (103, 0.5), (104, 0.25), (105, 0.75))]
    sounding.follow(0, [*own, Event("on", 0, 60, 0.5), Event("on", 0, 64, 0.5)])
    again = sounding.again(100)
    assert [(e.kind, e.number, e.value) for e in again] == [
        *(("control", e.number, e.value) for e in own), ("on", 60, 0.5), ("on", 64, 0.5)]  # fmt: skip


def test_the_pedal_holds_a_note_that_was_let_go() -> None:
    sounding = Sounding()
    sounding.follow(0, [Event("control", 0, 64, 1.0), Event("on", 0, 60, 0.5), Event("off", 5, 60)])
    assert told(sounding, 100) == [("control", 64, 0), ("on", 60, 100), ("off", 60, 0)]
    sounding.follow(100, [Event("control", 0, 64, 0.0)])
    assert told(sounding, 200) == [("control", 64, 0)]
    sounding.follow(300, [Event("control", 0, 64, 1.0), Event("on", 0, 60, 0.5), Event("off", 5, 60)])
    sounding.follow(400, [Event("control", 0, 121, 0.0)])  # which resets all controllers
    assert told(sounding, 500) == []


def test_channels_are_kept_apart() -> None:
    sounding = Sounding()
    sounding.follow(0, [Event("on", 0, 60, 0.5, 1), Event("on", 0, 60, 0.5, 2), Event("bend", 0, 0, 0.25, 2)])
    sounding.follow(0, [Event("off", 1, 60, 0.0, 1)])
    again = sounding.again(10)
    assert [(e.kind, e.channel) for e in again] == [("bend", 2), ("on", 2)]
    assert again[0].value == 0.25


def test_a_note_taken_up_again_keeps_its_beginning() -> None:
    """A synth that dies twice: the age goes on from the first attack."""
    sounding = Sounding()
    sounding.follow(0, [Event("on", 0, 60, 0.5)])
    sounding.follow(1000, sounding.again(1000))
    assert told(sounding, 3000) == [("on", 60, 3000)]


@given(st.lists(st.tuples(st.sampled_from(["on", "off", "pedal"]), st.integers(0, 127), st.booleans()), max_size=400))
def test_it_is_bounded_and_holds_what_a_plain_model_holds(steps: list[tuple[str, int, bool]]) -> None:
    sounding, held, pedalled, down = Sounding(), set(), set(), False
    for kind, note, on in steps:
        if kind == "pedal":
            down = on
            sounding.follow(0, [Event("control", 0, 64, float(on))])
            if not on:
                pedalled.clear()
        elif kind == "on":
            held.add(note)
            pedalled.discard(note)
            sounding.follow(0, [Event("on", 0, note, 0.5)])
        else:
            if note in held and down:
                pedalled.add(note)
            held.discard(note)
            sounding.follow(0, [Event("off", 0, note)])
    again = sounding.again(1)
    assert {e.number for e in again if e.kind == "on"} == held | pedalled
    assert {e.number for e in again if e.kind == "off"} == pedalled
    assert len(again) <= 3 * MOST


def test_clear_forgets_all() -> None:
    sounding = Sounding()
    sounding.follow(0, [Event("on", 0, 60, 0.5), Event("control", 0, 64, 1.0), Event("bend", 0, 0, 0.5)])
    sounding.clear()
    assert sounding.again(1) == []


def test_dials_are_told_first_however_many_controls_there_are() -> None:
    sounding = Sounding()
    sounding.follow(0, [Event("control", 0, FIRST_DIAL + 2, 0.25)])
    sounding.follow(0, [Event("control", 0, n, 0.5, channel) for n in range(100) for channel in (1, 2)])
    again = sounding.again(10)
    assert (again[0].number, again[0].value) == (FIRST_DIAL + 2, 0.25)
    assert len(again) <= TOLD
