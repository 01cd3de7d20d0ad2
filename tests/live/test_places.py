"""Events know where in their script they stand, and are the same events where that is not asked for."""

from fractions import Fraction as F

from antiphon.live.performance import Performance
from antiphon.live.reading import read
from antiphon.live.records import LiveEvent

SCRIPT = """from antiphon.live import *

chords = "<a3'minor7 f3'major7>"
track("cp", "cp")  # é
track("beat", s("bd*<2 3> ~ [hh hh?]", gain="1 0.5").every(2, rev))
track("é", note(chords).struct("t ~ t ~"), on="pluck")
track("twice", stack(s("rs"), s("rs")).late("0 0.25"))
node("send").gain = "<0.1 0.5>"


@loop(on="bell")
def bells():
    play(
        "a5",
        1,
    )
    once("oh*2")
    yield 4
"""


def played(version: int, text: str = SCRIPT) -> list[LiveEvent]:
    return Performance(read("/sets/set.py", text, version=version)).until(F(8))


def lit(events: list[LiveEvent], beat: F | int, source: str) -> list[list[str]]:
    """What is lit for the events of a track or loop that begin on a beat."""
    return [
        [SCRIPT[begin:end] for _, begin, end in event.mark.places]
        for event in events
        if event.beat == beat and event.source == source and event.mark is not None
    ]


def test_events_light_their_words_and_the_factors_that_shape_them() -> None:
    events = played(7)
    assert all(place[0] == 7 for event in events if event.mark for place in event.mark.places)
    assert lit(events, F(2, 3), "beat") == [["bd", "2", "1"]] or lit(events, F(8, 3), "beat")
    assert lit(events, 4, "beat") == [["bd", "3", "1"]]
    assert ["t", "a3'minor7"] in lit(events, 2, "é"), "a text that stands in a variable, behind a letter of two bytes"
    assert ["t", "f3'major7"] in lit(events, 4, "é")
    assert lit(events, 0, "cp") == [["cp"]]
    assert lit(events, 4, "send.gain") == [["0.5"]]


def test_of_equal_texts_that_of_its_own_call_is_lit() -> None:
    events = played(1)
    first, second = sorted({event.mark.places[0] for event in events if event.source == "twice" and event.mark})
    assert SCRIPT[first[1] - 3 : first[2] + 2] == SCRIPT[second[1] - 3 : second[2] + 2] == 's("rs")'
    assert SCRIPT.index('"cp")') + 1 in [e.mark.places[0][1] for e in events if e.source == "cp" and e.mark], "no name"


def test_a_loop_lights_the_call_that_plays() -> None:
    events = played(1)
    assert ['play(\n        "a5",\n        1,\n    )'] in lit(events, 0, "bells")
    assert ["oh"] in lit(events, 2, "bells")
    ends = [event for event in events if event.address == "/note/off"]
    assert ends
    assert not any(event.mark for event in ends)


def test_what_is_played_is_the_same_with_places_and_without() -> None:
    assert played(0) == played(3)
    assert not any(event.mark for event in played(0))


def test_a_text_that_is_not_written_as_it_is_lights_nothing() -> None:
    lines = ('track("a", s("b" "d"))', 'track("b", s("h\\x68"))', 'track("c", s("".join(["b", "d"])))')
    text = "\n".join(("from antiphon.live import *", *lines, ""))
    assert len(played(1, text)) >= 6
    assert not any(event.mark for event in played(1, text))
