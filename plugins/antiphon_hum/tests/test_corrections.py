"""A live note that began on another pitch is corrected: answers of the network made here, events of the processor."""

import numpy as np
import pytest

from antiphon.api import StreamSpec
from antiphon.api.backends.models import ModelClient
from antiphon.api.testing import render
from antiphon_hum.processor import BEND_RESET_SECONDS, Hum
from antiphon_hum.tests.test_decoding import answers, live_notes, rests
from antiphon_hum.transcription.notes import _notes

RATE = 48000
HOP = 480


def events(monkeypatch, pitch, onsets, sizes=None, **settings):
    """(kind, number, value, frame) of the events of a voice with `pitch` at each hop."""
    values = answers(pitch, onsets)
    empty = np.zeros_like(values[0])
    monkeypatch.setattr(
        ModelClient, "take", lambda self, hop, io: (values[hop] if hop < len(values) else empty)[None, None]
    )
    processor = Hum()
    frames = (len(values) + 60) * HOP
    sound = 0.1 * np.random.default_rng(1).standard_normal((1, frames)).astype(np.float32)
    done = render(processor, StreamSpec(RATE, 256, 1), sound, {"mode": "learned", **settings}, blocks=sizes)
    processor.close()
    return done.events


def scoop(below, first=5):
    """A note on 60.1 that begins `below` semitones lower."""
    return rests(20, np.full(first, 60.1 - below), np.full(60, 60.1), 20)


def short(found):
    return [(e.kind, e.number, e.value if e.kind == "bend" else None) for e in found]


def test_a_note_is_sent_at_once_and_bent_to_the_pitch_that_it_reaches(monkeypatch):
    found = events(monkeypatch, scoop(1.5), [20])
    assert short(found) == [("on", 59, None), ("bend", 0, 0.5), ("off", 59, None), ("bend", 0, 0.0)]
    on, bend, off, back = (e.offset for e in found)
    assert on < 26 * HOP
    assert bend < 36 * HOP
    assert back == off + round(BEND_RESET_SECONDS * RATE)


@pytest.mark.parametrize(
    ("correction", "wanted"),
    [("note", [("on", 59), ("off", 59), ("on", 60), ("off", 60)]), ("off", [("on", 59), ("off", 59)])],
)
def test_a_correction_may_be_another_note_or_none(monkeypatch, correction, wanted):
    found = events(monkeypatch, scoop(1.5), [20], correction=correction)
    assert [(e.kind, e.number) for e in found] == wanted


def test_what_is_further_than_a_bend_reaches_is_another_note(monkeypatch):
    found = events(monkeypatch, scoop(4.0), [20])
    assert [(e.kind, e.number) for e in found] == [("on", 56), ("off", 56), ("on", 60), ("off", 60)]


def test_vibrato_and_glides_are_the_pitch_of_the_note_where_they_are_wanted(monkeypatch):
    vibrato = 60.1 + 0.5 * np.sin(np.arange(80) * 2 * np.pi * 5.5 / 100)
    for below in (0.0, 1.5):
        voice = rests(20, np.full(5, 60.1 - below), vibrato, 20)
        found = events(monkeypatch, voice, [20], expression=True)
        assert [e.kind for e in found if e.kind in ("on", "off")] == ["on", "off"]
        number = found[0].number
        assert {e.number for e in found if e.kind == "pitch"} == {number}
        # what an instrument plays: note, bend and the pitch of the note together
        bend, heard = 0.0, []
        for event in found:
            bend = 2.0 * event.value if event.kind == "bend" else bend
            if event.kind == "pitch":
                heard.append(number + bend + event.value)
        assert len(heard) > 40
        assert (min(heard[10:]), max(heard[10:])) == pytest.approx((59.6, 60.6), abs=0.1)
    assert not [e for e in events(monkeypatch, voice, [20]) if e.kind == "pitch"]


def test_a_bend_is_taken_back_before_the_next_note(monkeypatch):
    voice = rests(20, np.full(5, 58.6), np.full(40, 60.1), np.full(40, 65.1), 20)
    found = events(monkeypatch, voice, [20, 65])
    assert short(found)[:5] == [
        ("on", 59, None),
        ("bend", 0, 0.5),
        ("off", 59, None),
        ("bend", 0, 0.0),
        ("on", 65, None),
    ]
    assert found[3].offset == found[4].offset
    assert all(e.kind != "bend" for e in found[5:])


def test_any_block_split_gives_the_same_corrections(monkeypatch):
    voice = rests(20, np.full(5, 58.6), np.full(40, 60.1), 9, np.full(40, 65.1), 60)
    whole = events(monkeypatch, voice, [20, 74])
    assert [e.kind for e in whole].count("bend") == 2
    assert events(monkeypatch, voice, [20, 74], sizes=[1, 255, 17, 256, 100]) == whole


def test_a_note_that_waits_for_its_line_begins_on_its_last_pitch(monkeypatch):
    found = events(monkeypatch, scoop(1.5), [20], quantise="1/4")
    assert [(e.kind, e.number) for e in found] == [("on", 60), ("off", 60)]


def test_a_bent_note_is_counted_with_the_pitch_that_it_was_bent_to(monkeypatch):
    found = events(monkeypatch, scoop(1.5), [20])
    ((number, length),) = [(n.number, n.end - n.start) for n in _notes(found, 0, 200 * HOP)]
    assert number == 60
    assert length > 50 * HOP


def test_the_decoder_corrects_a_note_within_its_first_hops_and_no_later():
    assert [round(pitch) for _, pitch in live_notes(answers(scoop(1.5), [20]))] == [59]
    glide = rests(20, np.full(60, 60.1), np.linspace(60.1, 60.95, 60), 20)
    assert [round(pitch) for _, pitch in live_notes(answers(glide, [20]))] == [60]
