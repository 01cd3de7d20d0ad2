"""From answers of the network, made here, to notes and to corrections of live ones; struck lines."""

import numpy as np
import pytest
import soxr

from antiphon.api import Samples, StreamSpec
from antiphon.api.backends.models import ModelClient
from antiphon.testing import render
from antiphon_hum import learned, struck
from antiphon_hum.learned.decode import Live, NoteDecoder
from antiphon_hum.learned.file_decoder import PathCosts, decode_file
from antiphon_hum.notes import Play, _notes, transcribe
from antiphon_hum.processor import BEND_RESET_SECONDS, Hum
from antiphon_hum.struck import StruckLine

RATE = 44100
LINE = (48, 50, 52, 55, 60, 60, 57, 64, 48)


def plucked(chords: list[tuple[int, ...]], apart: float, decay: float) -> Samples:
    """Strings, each struck harmonic dying the sooner the higher it is."""
    sound = np.zeros(round((len(chords) * apart + 1.0) * RATE))
    for n, chord in enumerate(chords):
        at = round((0.2 + n * apart) * RATE)
        t = np.arange(len(sound) - at) / RATE
        for number in chord:
            hertz = 440.0 * 2.0 ** ((number - 69) / 12.0)
            for k in range(1, 12):
                level = 0.2 / k * np.exp(-t * decay * (1.0 + 0.3 * k)) * np.minimum(1.0, t * 400.0)
                sound[at:] += level * np.sin(2.0 * np.pi * hertz * k * t + k)
    return np.stack([sound, -sound]).astype(np.float32)


def player(sound: Samples) -> Play:
    return lambda at, feed: feed(sound if at in (0, RATE) else np.asarray(soxr.resample(sound.T, RATE, at).T))


@pytest.mark.parametrize("decay", [0.6, 3.0], ids=["rings on", "dies"])
def test_each_note_of_a_line_is_found(decay: float) -> None:
    found = transcribe(player(plucked([(number,) for number in LINE], 0.35, decay)), RATE, {})
    assert [note.number for note in found.notes] == list(LINE)
    assert found.struck
    assert found.cancelled
    starts = np.array([note.start / RATE for note in found.notes])
    assert np.abs(starts - 0.2 - 0.35 * np.arange(len(LINE))).max() < 0.03


def test_a_line_of_bright_strings_is_found() -> None:
    """Noise that circulates in a delay of a period (Karplus and Strong): its mean stays as an offset that decays."""
    numbers = (60, 62, 64, 65, 67, 69, 71, 72)
    strings = [np.zeros(2000)]
    for number in numbers:
        period = round(struck.RATE / (440.0 * 2.0 ** ((number - 69) / 12.0)) - 0.5)
        rounds = [np.random.default_rng(number).uniform(-0.5, 0.5, period)]
        while len(rounds) * period < struck.RATE // 2:
            rounds.append(0.498 * (rounds[-1] + np.roll(rounds[-1], 1)))
        strings.append(np.concatenate(rounds)[: struck.RATE // 2])
    line = StruckLine()
    line.feed(np.concatenate(strings)[None].astype(np.float32))
    assert [note.number for note in line.notes(0, 127)] == list(numbers)


def test_whistles_above_the_range_of_voices_are_found() -> None:
    numbers, t = (91, 98, 93, 100, 96), np.arange(round(0.6 * RATE)) / RATE
    fade = np.clip(np.minimum(t / 0.03, (0.6 - t) / 0.05), 0.0, 1.0)
    tones = [0.3 * fade * np.sin(2.0 * np.pi * 440.0 * 2.0 ** ((number - 69) / 12.0) * t) for number in numbers]
    sound = np.concatenate([np.pad(tone, (RATE // 4, 0)) for tone in tones])
    sound += np.random.default_rng(0).normal(0.0, 1e-4, len(sound))
    found = transcribe(player(sound[None].astype(np.float32)), RATE, {})
    assert [note.number for note in found.notes] == list(numbers)


def test_chords_and_noise_are_no_line() -> None:
    chords = plucked([(48, 52, 55), (45, 48, 52), (41, 45, 48), (43, 47, 50)], 0.5, 1.0)
    assert not transcribe(player(chords), RATE, {}).struck
    line = StruckLine()
    line.feed(np.random.default_rng(1).normal(0.0, 0.1, (1, 60000)).astype(np.float32))
    assert line.notes(0, 127) == []
    assert StruckLine().notes(0, 127) == []


LATE = {
    learned.NEAR: (
        learned.KEY,
        learned.KEY_SURE,
        learned.NOTE,
        learned.ONSET,
        learned.PITCH,
        learned.SURE,
        learned.VOICED,
    ),
    learned.FAR: (learned.FAR_KEY, learned.FAR_SURE, learned.FAR_NOTE, learned.FAR_ONSET),
}


def answers(pitch, onsets=(), chance=0.99, attack=0.9):
    """Answers to a voice with `pitch` at each hop (NaN in rests) and onsets at some."""
    pitch = np.asarray(pitch, float)
    hops = len(pitch)
    there = np.isfinite(pitch)
    onset = np.full(hops, 0.002)
    for at in onsets:
        onset[at] = attack
    key = np.where(there, (np.nan_to_num(pitch, nan=60.0) - learned.LOWEST) / learned.SEMITONES, 0.4)
    values = np.zeros((hops + learned.FAR, learned.ANSWER), np.float32)
    for late, (where, sure, note, begins, *more) in LATE.items():
        rows = slice(late - 1, late - 1 + hops)
        values[rows, where] = key
        values[rows, sure] = np.where(there, 0.99, 0.1)
        values[rows, note] = np.where(there, chance, 0.01)
        values[rows, begins] = onset
        for place, column in zip(more, (key, np.where(there, 0.99, 0.1), there), strict=False):
            values[rows, place] = column
    return values


def rests(*parts):
    return np.concatenate([np.full(part, np.nan) if isinstance(part, int) else np.asarray(part) for part in parts])


def live_notes(values, sensitivity=0.5, **changes):
    decoder = NoteDecoder(Live(**changes))
    sent = []
    for n, answer in enumerate(values):
        decoder.step(answer, None, 4.0 * (sensitivity - 0.5))
        if decoder.begun is not None:
            sent.append((n, decoder.begun))
    return sent


def test_a_pitch_between_two_semitones_is_one_note_with_its_fraction():
    wobble = 60.5 + 0.3 * np.sin(np.arange(80) * 0.35)
    values = answers(rests(20, wobble, 20), [20])
    ((start, end, pitch),) = decode_file(values)
    assert start == pytest.approx(0.2, abs=0.04)
    assert end == pytest.approx(1.0, abs=0.03)
    assert pitch == pytest.approx(60.5, abs=0.15)
    ((_, begun),) = live_notes(values)
    assert begun == pytest.approx(60.5, abs=0.35)


def test_a_pitch_that_drifts_is_followed_and_one_that_steps_is_another_note():
    for reached, notes in ((60.8, decode_file), (62.5, live_notes)):
        assert len(notes(answers(rests(20, np.linspace(60.0, reached, 200), 20), [20]))) == 1
    step = answers(rests(20, np.full(60, 60.2), np.full(60, 62.2), 20), [20, 80])
    assert [round(pitch, 1) for _, _, pitch in decode_file(step)] == [60.2, 62.2]
    assert [round(pitch, 1) for _, pitch in live_notes(step)] == [60.2, 62.2]


def test_a_pitch_that_steps_without_an_onset_is_another_note():
    step = answers(rests(20, np.full(60, 60.0), np.full(60, 64.0), 20), [20])
    assert [round(pitch) for _, pitch in live_notes(step)] == [60, 64]
    for line in ([60, 64], [35, 36], [96, 95]):  # the ends of its range show whether each pitch has its own cost
        step = answers(rests(20, *(np.full(60, float(pitch)) for pitch in line), 20), [20])
        assert [round(pitch) for _, _, pitch in decode_file(step)] == line


def test_the_same_pitch_is_repeated_at_an_onset_and_not_without_one():
    tone = rests(20, np.full(120, 60.0), 20)
    assert len(decode_file(answers(tone, [20, 80]))) == 2
    assert len(live_notes(answers(tone, [20, 80]))) == 2
    assert len(decode_file(answers(tone, [20]))) == 1
    assert len(live_notes(answers(tone, [20]))) == 1


def test_the_notes_of_an_unsteady_voice_begin_later_than_an_instruments():
    steady = answers(rests(20, np.full(60, 60.0), 20), [20])
    voice = answers(rests(20, 60.0 + 0.25 * np.sin(np.arange(60) * 0.4), 20), [20])
    assert decode_file(voice)[0][0] - decode_file(steady)[0][0] == pytest.approx(0.03, abs=0.011)


def _babble(seed):
    """Notes of any likelihood, onsets of any strength."""
    rng = np.random.default_rng(seed)
    parts, onsets, chances, at = [], [], [], 0
    for _ in range(30):
        length, rest = int(rng.integers(8, 50)), int(rng.integers(0, 12))
        parts += [np.full(rest, np.nan), np.full(length, rng.uniform(50, 70)) + 0.02 * rng.standard_normal(length)]
        onsets.append(at + rest)
        chances += [0.0] * rest + [float(rng.uniform(0.02, 0.99))] * length
        at += rest + length
    return answers(np.concatenate(parts), onsets, np.array(chances), float(rng.uniform(0.5, 0.9)))


@pytest.mark.parametrize("seed", range(2))
def test_more_sensitivity_gives_the_same_notes_and_more_and_never_fewer(seed):
    values = _babble(seed)
    before_file: set = set()
    before_live: list = []
    counts = []
    for sensitivity in (0.0, 0.25, 0.5, 0.75, 1.0):
        costs = PathCosts(sure=PathCosts().sure - 8.0 * (sensitivity - 0.5))
        now = set(decode_file(values, costs))
        assert before_file <= now
        before_file = now
        sent = live_notes(values, sensitivity)
        assert {round(pitch) for _, pitch in before_live} <= {round(pitch) for _, pitch in sent}
        assert len(before_live) <= len(sent)
        before_live = sent
        counts.append((len(now), len(sent)))
    assert counts[0][0] < counts[-1][0]
    assert counts[0][1] < counts[-1][1]


LIVE_RATE = 48000
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
    done = render(processor, StreamSpec(LIVE_RATE, 256, 1), sound, {"mode": "learned", **settings}, blocks=sizes)
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
    assert bend < 30 * HOP, bend / HOP
    assert back == off + round(BEND_RESET_SECONDS * LIVE_RATE)


@pytest.mark.parametrize(
    ("below", "settings", "numbers"),
    [
        pytest.param(1.5, {"correction": "note"}, [59, 60], id="by another note"),
        pytest.param(1.5, {"correction": "off"}, [59], id="by none"),
        pytest.param(4.0, {}, [56, 60], id="further than a bend reaches"),
        pytest.param(1.5, {"quantise": "1/4"}, [60], id="while it waits for its line"),
    ],
)
def test_a_scooped_note_is_corrected(monkeypatch, below, settings, numbers):
    found = events(monkeypatch, scoop(below), [20], **settings)
    assert [(e.kind, e.number) for e in found] == [(kind, number) for number in numbers for kind in ("on", "off")]


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


def test_a_bent_note_is_counted_with_the_pitch_that_it_was_bent_to(monkeypatch):
    found = events(monkeypatch, scoop(1.5), [20])
    ((number, length),) = [(n.number, n.end - n.start) for n in _notes(found, 0, 200 * HOP)]
    assert number == 60
    assert length > 50 * HOP
