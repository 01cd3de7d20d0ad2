"""From answers to notes, made here of a known voice; struck lines."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from antiphon.api import Samples
from antiphon_hum.learned import tables
from antiphon_hum.learned.decode import LeadVoice, Live, NoteDecoder
from antiphon_hum.learned.file_decoder import PathCosts, _pitch, decode_file
from antiphon_hum.transcription import struck
from antiphon_hum.transcription.notes import Play, transcribe
from antiphon_hum.transcription.struck import StruckLine

RATE = 44100
LINE = (48, 50, 52, 53, 55, 57, 59, 60, 60, 57, 55, 64, 48)


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


def test_chords_and_noise_are_no_line() -> None:
    chords = plucked([(48, 52, 55), (45, 48, 52), (41, 45, 48), (43, 47, 50)] * 2, 0.5, 1.0)
    assert not transcribe(player(chords), RATE, {}).struck
    line = StruckLine()
    line.feed(np.random.default_rng(1).normal(0.0, 0.1, (1, 60000)).astype(np.float32))
    assert line.notes(0, 127) == []
    assert StruckLine().notes(0, 127) == []


LATE = {
    tables.NEAR: (tables.KEY, tables.KEY_SURE, tables.NOTE, tables.ONSET, tables.PITCH, tables.SURE, tables.VOICED),
    tables.FAR: (tables.FAR_KEY, tables.FAR_SURE, tables.FAR_NOTE, tables.FAR_ONSET),
}


def answers(pitch, onsets=(), chance=0.99, attack=0.9):
    """Answers to a voice with `pitch` at each hop (NaN in rests) and onsets at some."""
    pitch = np.asarray(pitch, float)
    hops = len(pitch)
    there = np.isfinite(pitch)
    onset = np.full(hops, 0.002)
    for at in onsets:
        onset[at] = attack
    key = np.where(there, (np.nan_to_num(pitch, nan=60.0) - tables.LOWEST) / tables.SEMITONES, 0.4)
    values = np.zeros((hops + tables.FAR, tables.ANSWER), np.float32)
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
    assert [round(pitch) for _, _, pitch in decode_file(step)] == [60, 64]
    assert [round(pitch) for _, pitch in live_notes(step)] == [60, 64]


def test_the_same_pitch_is_repeated_at_an_onset_and_not_without_one():
    tone = rests(20, np.full(120, 60.0), 20)
    assert len(decode_file(answers(tone, [20, 80]))) == 2
    assert len(live_notes(answers(tone, [20, 80]))) == 2
    assert len(decode_file(answers(tone, [20]))) == 1
    assert len(live_notes(answers(tone, [20]))) == 1


def test_a_note_that_steps_at_its_very_middle_has_a_pitch():
    """Its median lies between the two, and none of its pitches is near that."""
    values = answers(rests(np.full(5, 60.0), np.full(5, 62.0)))[tables.FAR - 1 :]
    assert _pitch(values[:10]) == pytest.approx(61.0, abs=1.01)


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


def test_a_long_sound_is_the_same_in_any_chunks(monkeypatch):
    from antiphon_hum.learned import file_decoder

    values = np.concatenate([_babble(1), _babble(2)])
    whole = decode_file(values)
    monkeypatch.setattr(file_decoder, "BATCH_HOPS", 37)
    assert decode_file(values) == whole


def test_the_lead_voice_is_followed_where_several_sound_and_an_only_voice_is_unchanged():
    """Over a band the network's probabilities of notes and onsets fall, its pitch stays."""
    alone = answers(rests(60, np.full(60, 60.0), np.full(60, 62.0), 40), [60, 120])
    alone[:, tables.MANY] = 0.01
    lead = LeadVoice()
    assert np.allclose(lead.all(alone), alone, atol=1e-5)
    band = answers(rests(60, np.full(60, 60.0), np.full(60, 62.0), 40), [60, 120], chance=0.05, attack=0.05)
    # where nobody sings there is less than that
    band[:, tables.NOTE] = np.where(band[:, tables.NOTE] < 0.03, 1e-4, band[:, tables.NOTE])
    band[:, tables.FAR_NOTE] = np.where(band[:, tables.FAR_NOTE] < 0.03, 1e-4, band[:, tables.FAR_NOTE])
    band[:, tables.MANY] = 0.95
    assert decode_file(band) == []
    assert live_notes(band) == []
    followed = lead.all(band)
    assert [round(pitch) for _, _, pitch in decode_file(followed)] == [60, 62]
    assert [round(pitch) for _, pitch in live_notes(followed)] == [60, 62]
