"""Beats, bars, chords, key and sections of music whose truth is known, made here; what is no music; files of chords."""

import itertools
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.each import each

from antiphon.api import F64
from antiphon.api.backends.files import AudioWriter, chord_text, read_midi
from antiphon.api.jobs import FileJob
from antiphon_listen import beats, harmony, meters, music, spectra, tables
from antiphon_listen.bars import find_downbeats
from antiphon_listen.chord_notes import write_notes
from antiphon_listen.music import MusicAnalysis, MusicRun, StemMusicAnalysis
from antiphon_listen.spectra import NoteSpectrum

RATE = 22050
LOOP = ((0, 4, 7), (7, 11, 14), (9, 12, 16), (5, 9, 12))
"""C, G, A minor, F, a bar each."""
NAMES = ("C:maj", "G:maj", "A:min", "F:maj")


@cache
def tone(pitch: float, seconds: float, level: float) -> np.ndarray:
    """A plucked note with harmonics."""
    time = np.arange(round(seconds * RATE)) / RATE
    frequency = 440.0 * 2 ** ((pitch - 69) / 12)
    wave = sum(np.sin(2 * np.pi * n * frequency * time) / n**1.5 for n in range(1, 8) if n * frequency < 10000)
    return level * wave * np.exp(-2.5 * time) * np.minimum(1.0, time / 0.003)


@cache
def song(bpm: float = 96.0, bars: int = 16, transpose: int = 0, tuning: float = 0.0) -> np.ndarray:
    """Bass on the first and third beat, a chord on each beat, a softer one between: the first beat at 0.5 s."""
    beat = 60.0 / bpm
    sound = np.zeros(round((bars * 4 * beat + 3.0) * RATE))

    def put(at: float, wave: np.ndarray) -> None:
        first = round((0.5 + at) * RATE)
        sound[first : first + len(wave)] += wave

    for bar in range(bars):
        chord = LOOP[bar % 4]
        for step in range(4):
            at = (4 * bar + step) * beat
            if step % 2 == 0:
                put(at, tone(36 + chord[0] % 12 + transpose + tuning, 2 * beat, 0.5 if step == 0 else 0.3))
            for note in chord:
                put(at, tone(60 + note % 12 + transpose + tuning, beat, 0.2))
                if note != chord[0]:
                    put(at + beat / 2, tone(60 + note % 12 + transpose + tuning, beat / 2, 0.07))
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


@cache
def plain(transpose: int = 0) -> Mapping[str, Any]:
    return found(song(transpose=transpose))


def found(sound: np.ndarray, size: int = 22050) -> Mapping[str, Any]:
    run = MusicAnalysis().begin(RATE, 1)
    for at in range(0, len(sound), size):
        run.feed(sound[None, at : at + size])
    return run.result()


def share(times: np.ndarray, truth: np.ndarray, within: float = 0.05) -> float:
    """Of the truth that is found."""
    return float((np.abs(truth[:, None] - np.asarray(times)[None]).min(axis=1) < within).mean())


@each("bpm, first", [(120.0, 0.25), (60.0, 0.25), (100.0, 0.3), (144.0, 0.0)])
def test_beats_of_clicks_are_at_their_attacks(bpm: float, first: float) -> None:
    sound, time = np.zeros(20 * RATE, np.float32), np.arange(2000) / RATE
    clicks = np.arange(first, 19.5, 60.0 / bpm)
    for at in clicks:
        begin = round(at * RATE)
        sound[begin : begin + 2000] += 0.7 * np.sin(2000 * np.pi * time) * np.exp(-60.0 * time)
    values = found(sound)
    assert values["meter"] is None
    away = np.abs(clicks[:, None] - np.asarray(values["beats"])[None]).min(axis=1)
    assert float(np.median(away)) < 0.001
    assert float(away[1:-1].max()) < 0.003
    assert (values["tempo"], values["key"]) == (pytest.approx(bpm, rel=1e-3), None)


@pytest.mark.parametrize("bpm", [76.0, 96.0])
def test_beats_and_tempo(bpm: float) -> None:
    values = plain() if bpm == 96.0 else found(song(bpm))
    assert values["tempo"] == pytest.approx(bpm, rel=0.01)
    assert share(values["beats"], 0.5 + 60.0 / bpm * np.arange(64)) > 0.95
    assert len(values["beats"]) < 72
    assert set(values["downbeats"]) <= set(values["beats"])


@pytest.mark.parametrize(("clicks", "bpm"), [(60, 60), (128, 128), (174, 174), (240, 120), (480, 120)])
def test_the_tempo_of_a_metronome_is_its_own_unless_it_is_too_quick_for_beats(clicks: int, bpm: int) -> None:
    sound = np.zeros(12 * RATE, np.float32)
    places = np.arange(0.0, 11.9, 60.0 / clicks)
    for at in places:
        wave = 0.5 * np.exp(-np.arange(2000) / 200) * np.sin(2 * np.pi * 1000 * np.arange(2000) / RATE)
        sound[round(at * RATE) : round(at * RATE) + 2000] += wave.astype(np.float32)
    values = found(sound)
    assert values["tempo"] == pytest.approx(bpm, rel=0.003)
    assert share(places, np.asarray(values["beats"])[:-1], within=0.03) == 1.0  # the last one may be behind the end
    assert len(values["beats"]) == pytest.approx(12 * bpm / 60, abs=2)


def test_downbeats_are_where_the_chord_changes() -> None:
    values = plain()
    assert share(values["downbeats"], 0.5 + 2.5 * np.arange(16)) > 0.9
    assert len(values["downbeats"]) < 20


@each(
    "transpose, names, key",
    [
        (0, NAMES, "C major"),
        (4, ("E:maj", "B:maj", "C#:min", "A:maj"), "E major"),
        (8, ("Ab:maj", "Eb:maj", "F:min", "Db:maj"), "Ab major"),
    ],
)
def test_chords_and_key(transpose: int, names: tuple[str, ...], key: str) -> None:
    values = plain(transpose)
    assert values["key"] == key
    right = 0.0
    for start, end, label in values["chords"]:
        for bar in range(16):
            overlap = min(end, 3.0 + 2.5 * bar) - max(start, 0.5 + 2.5 * bar)
            right += max(0.0, overlap) * (label == names[bar % 4])
    assert right / 40.0 > 0.9
    edges = [edge for start, end, _ in values["chords"] for edge in (start, end)]
    assert edges[0] == 0.0
    assert edges[1:-1:2] == edges[2::2], "without gaps"
    assert edges[-1] == pytest.approx(len(song()) / RATE, abs=0.01)
    labels = [label for *_, label in values["chords"]]
    assert all(one != other for one, other in itertools.pairwise(labels)), "one chord is one span"


def test_a_detuned_recording_has_the_same_chords() -> None:
    spectrum = NoteSpectrum()
    spectrum.feed(song(tuning=0.4))
    spectrum.end()
    assert spectrum.tuning == pytest.approx(0.4, abs=0.06)
    assert found(song(tuning=0.4))["key"] == "C major"


def test_blocks_of_any_size_give_the_same() -> None:
    whole, blocks = plain(), found(song(), 1777)
    np.testing.assert_allclose(blocks["beats"], whole["beats"], atol=1e-9)
    assert [label for *_, label in blocks["chords"]] == [label for *_, label in whole["chords"]]
    assert blocks["key"] == whole["key"]
    assert [span[:2] for span in blocks["sections"]] == [span[:2] for span in whole["sections"]]


def test_the_level_does_not_matter() -> None:
    soft, loud = found(0.05 * song()), found(1.9 * song())
    assert soft["tempo"] == pytest.approx(loud["tempo"], rel=0.01)
    assert soft["key"] == loud["key"]
    assert min(soft["tempo_confidence"], loud["tempo_confidence"]) > 0.8
    assert loud["key_confidence"] > 0.5


@each("sound", [np.zeros(0), np.zeros(10 * RATE), np.full(RATE, 1e-6), np.ones(1), 0.5 * np.ones(5 * RATE)])
def test_what_is_no_music_has_no_beats(sound: np.ndarray) -> None:
    values = found(sound.astype(np.float32))
    assert values["beats"] is None or len(values["beats"]) < len(sound) / RATE * 4
    if not len(sound) or np.abs(sound).max() < 1e-5:
        assert set(values.values()) == {None}


@each("seconds", [0.5, 4.0, 20.0])
def test_noise_of_any_length_is_analysed_without_an_error(seconds: float) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)
    values = found(noise)
    assert (values["tempo"], values["beats"], values["downbeats"]) == (None, None, None)
    assert values["tempo_confidence"] < 0.3
    assert values["chords"][-1][1] == pytest.approx(seconds, abs=0.01)


@each(
    "chords, key",
    [
        ((12, 17, 7, 12), "C minor"),
        ((0, 9 + 12, 5, 7), "C major"),
        ((12, 8, 10, 12), "C minor"),
        ((0, 7, 0, 5), "C major"),
    ],
)
@each("tonic", [0, 4, 9])
def test_a_key_and_its_relative_are_told_apart_by_their_chords(chords: tuple[int, ...], key: str, tonic: int) -> None:
    """Chords from the tonic on: major, or minor from 12 on."""
    path = np.array([12 * (chord // 12) + (chord + tonic) % 12 for chord in chords * 4])
    tones = [np.isin(np.arange(12), (root + np.array([0, 4 - root // 12, 7])) % 12) for root in path]
    found, _ = harmony.key_of(path, np.tile(tones, 2).astype(np.float32), tables.load())
    assert found == tonic + 12 * key.endswith("minor")


@each(
    "notes, key",
    [
        (np.zeros(12), None),
        (np.ones(12), None),
        (np.isin(np.arange(12), (0, 2, 4, 5, 7, 9, 11)) + 2.0 * np.isin(np.arange(12), (0, 4, 7)), 0),
    ],
)
def test_a_tune_without_chords_has_a_key_and_noise_has_none(notes: F64, key: int | None) -> None:
    path = np.full(8, harmony.NO_CHORD)
    found, certain = harmony.key_of(path, np.tile(notes, 2)[None].astype(np.float32), tables.load())
    assert (found, certain >= harmony.MIN_KEY) == (key, key is not None)


def test_of_stems_the_beats_are_of_the_whole_and_the_chords_of_what_the_drums_leave() -> None:
    sound = song()
    other = song(transpose=2)
    run = StemMusicAnalysis().begin(RATE, 4)
    # what is taken for drums has chords too, and is as loud
    run.feed(np.stack([sound, np.zeros_like(sound), np.zeros_like(sound), other]))
    stated, wanted = run.result(), plain(2)
    assert stated["key"] == wanted["key"] != plain()["key"]
    assert [label for _, _, label in stated["chords"]][1:6] == [label for _, _, label in wanted["chords"]][1:6]
    assert stated["tempo"] == pytest.approx(wanted["tempo"], rel=0.02)


@pytest.mark.parametrize(("bpm", "drums"), [(66.0, False), (66.0, True), (132.0, True)])
def test_strokes_between_the_beats_do_not_double_the_tempo(bpm: float, drums: bool) -> None:
    sound, draw = song(bpm, 16).copy(), np.random.default_rng(1)
    for place in range(round(len(sound) / RATE * bpm / 30) - 4 if drums else 0):
        first = round((0.5 + 30.0 / bpm * place) * RATE)
        hit = draw.normal(size=2000) * np.exp(-np.arange(2000) / 400.0)
        sound[first : first + 2000] += (0.3 * hit).astype(np.float32)
    assert found(sound)["tempo"] == pytest.approx(bpm, rel=0.02)


@each("before, noise", [(1.0, 0.0), (4.0, 0.0), (7.0, 10**-2.25), (15.0, 0.001)])
def test_silence_and_hiss_around_music_have_no_beats_and_move_no_bar(before: float, noise: float) -> None:
    hiss = noise * np.random.default_rng(1).normal(size=round((before + 5.0) * RATE))
    lead, rest = np.split(hiss.astype(np.float32), [round(before * RATE)])
    values = found(np.concatenate([lead, song()[: 43 * RATE], rest]))
    assert before + 0.4 < min(values["beats"]) < before + 0.6
    assert max(values["beats"]) < before + 44.0
    assert share(values["downbeats"], before + 0.5 + 2.5 * np.arange(16)) > 0.9
    assert values["tempo"] == pytest.approx(96.0, rel=0.01)


@each("before", [0.0, 0.1003, 5.0])
def test_what_is_found_is_the_same_behind_any_silence(before: float) -> None:
    whole = song()
    first = int(np.argmax(np.abs(whole) >= 1e-4))
    sound, silent = whole[first : first + 43 * RATE], round(before * RATE)
    late = (first - silent) / RATE
    there, here = found(whole[: first + 43 * RATE]), found(np.concatenate([np.zeros(silent, np.float32), sound]))
    assert here["key"] == there["key"]
    for name in ("tempo", "tempo_confidence", "key_confidence", "chords_confidence"):
        assert here[name] == pytest.approx(there[name], rel=1e-5), name
    for name in ("beats", "downbeats"):
        np.testing.assert_allclose(here[name], np.maximum(0.0, there[name] - late), atol=1e-9)
    assert [label for *_, label in here["chords"] if label != "N"] == [
        label for *_, label in there["chords"] if label != "N"
    ]
    for name in ("chords", "sections"):
        ends = [np.array([end for _, end, label in values[name] if label != "N"]) for values in (here, there)]
        np.testing.assert_allclose(ends[0], ends[1] - late, atol=1e-9)


def test_bars_begin_anew_after_a_silence_in_the_middle() -> None:
    first, rest = np.split(song()[: 43 * RATE], [20 * RATE + RATE // 2])
    values = found(np.concatenate([first, np.zeros(8 * RATE, np.float32), rest]))
    beats = np.asarray(values["beats"])
    assert not ((beats > 21.5) & (beats < 28.3)).any()
    wanted = 0.5 + 2.5 * np.arange(16)
    assert share(values["downbeats"], np.where(wanted < 20.0, wanted, wanted + 8.0)) > 0.9
    assert values["tempo_confidence"] > 0.5


@each("bpm, bar", [(96.0, 3), (150.0, 3), (180.0, 3), (150.0, 4)])
def test_waltzes_have_bars_of_three_and_others_of_four(bpm: float, bar: int) -> None:
    sound, beat = np.zeros(round((bar * 24 * 60.0 / bpm + 3.0) * RATE), np.float32), 60.0 / bpm
    for number in range(24 * bar):
        chord, first = LOOP[number // bar % 4], round((0.5 + number * beat) * RATE)
        low = number % bar == 0 or (number % 4 == 2 and bar == 4)
        for pitch in (36 + chord[0] % 12,) if low else tuple(60 + note % 12 for note in chord):
            wave = tone(pitch, 0.9 * beat, 0.4 if low else 0.2)
            sound[first : first + len(wave)] += wave
    values = found(sound)
    assert values["tempo"] == pytest.approx(bpm, rel=0.01)
    assert share(values["downbeats"], 0.5 + bar * beat * np.arange(24)) > 0.9
    assert len(values["downbeats"]) < 28


def test_the_first_beat_may_begin_a_bar_though_nothing_before_it_tells() -> None:
    beats, odds = 0.6 * np.arange(24), np.where(np.arange(24) % 3 == 0, 6.0, -6.0)
    odds[:3] = -11.0, -4.5, -0.8
    assert np.array_equal(find_downbeats(odds, beats, 3), beats[::3])


BEAT = 0.5


def drummed(bars: int, bpm: float, kicks: Sequence[int], snares: Sequence[int]) -> np.ndarray:
    """Bars of kick, snare and a hat on every half of a beat, a second longer."""
    random, half = np.random.default_rng(1), 30.0 / bpm
    sound = np.zeros(round((8 * bars * half + 1.0) * RATE))
    time = np.arange(round(0.12 * RATE)) / RATE
    kick = np.sin(2.0 * np.pi * 60.0 * time) * np.exp(-30.0 * time)
    snare, hat = (random.uniform(-1.0, 1.0, len(time)) * np.exp(-rate * time) for rate in (35.0, 120.0))
    for place in range(8 * bars):
        first = round(place * half * RATE)
        strokes = 0.25 * np.diff(hat, prepend=0.0) + kick * (place % 8 in kicks) + 0.6 * snare * (place % 8 in snares)
        sound[first : first + len(time)] += strokes
    return sound


@each("bpm, bass", [(110.0, (0,)), (110.0, (0, 5)), (120.0, (0,)), (120.0, (0, 5))])
def test_a_snare_on_the_third_beat_alone_does_not_halve_the_tempo(bpm: float, bass: tuple[int, ...]) -> None:
    sound, half = drummed(20, bpm, bass, (4,)), 30.0 / bpm
    for bar, place in itertools.product(range(20), bass):
        first, chord = round((8 * bar + place) * half * RATE), LOOP[bar % 4]
        for pitch, level in ((36 + chord[0] % 12, 0.5), *((60 + note % 12, 0.2) for note in chord if place == 0)):
            wave = tone(pitch, 3.0 * half, level)
            sound[first : first + len(wave)] += wave
    values = found((0.5 * sound / np.abs(sound).max()).astype(np.float32))
    assert values["tempo"] == pytest.approx(bpm, rel=0.01)
    assert share(values["beats"], 2.0 * half * np.arange(80)) > 0.9


@pytest.mark.parametrize("before", [0.0, 4.0], ids=["at once", "after silence"])
def test_drums_alone_begin_with_a_bar(before: float) -> None:
    sound = np.concatenate([np.zeros(round(before * RATE)), drummed(10, 120.0, (0, 4, 5), (2, 6))])
    values = found((0.5 * sound / np.abs(sound).max()).astype(np.float32))
    bars = before + 2.0 * np.arange(11)
    assert values["tempo"] == pytest.approx(120.0, rel=0.02)
    assert share(values["downbeats"], bars[1:10]) == 1.0
    assert share(bars, np.asarray(values["downbeats"])) == 1.0


CHORDS = {
    "C:maj": (36, 60, 64, 67, 72),
    "A:min7": (45, 57, 60, 64, 67),
    "D:sus4": (38, 62, 67, 69, 74),
    "G:7": (43, 59, 62, 65, 67),
    "C:maj/3": (40, 60, 64, 67, 72),
    "F:maj7": (41, 60, 64, 65, 69),
}
BLOCKS = {
    "C:maj": (36, 60, 64, 67), "C:min": (36, 60, 63, 67), "A:min": (45, 60, 64, 69), "D:min": (38, 62, 65, 69),
    "E:maj": (40, 59, 64, 68),
}  # fmt: skip


def loop(
    chords: Sequence[str], rounds: int = 3, tuning: float = 0.0, table: Mapping[str, tuple[int, ...]] = CHORDS
) -> np.ndarray:
    """Each chord for four beats, struck on each."""
    sound = np.zeros(round((4 * BEAT * len(chords) * rounds + 3.0) * RATE))
    for place in range(4 * len(chords) * rounds):
        for key in table[chords[place // 4 % len(chords)]]:
            first = round((0.5 + BEAT * place) * RATE)
            wave = tone(key + tuning, 2 * BEAT, 0.3 if key < 48 else 0.2)
            sound[first : first + len(wave)] += wave
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def chords_of(sound: np.ndarray) -> list[tuple[float, float, str]]:
    run = MusicRun()
    for first in range(0, len(sound), 5000):
        run.feed(sound[None, first : first + 5000])
    found = run.chords(run.analyse())
    assert found is not None
    return found.spans


def shares(spans: Sequence[tuple[float, float, str]], chords: Sequence[str]) -> dict[str, float]:
    """Of each chord's time in `loop` the share with its label, of the rounds but the first."""
    right: dict[str, list[bool]] = {chord: [] for chord in chords}
    for at in np.arange(4 * BEAT * len(chords), spans[-1][1] - 3.0, 0.05):
        chord = chords[int(at / (4 * BEAT)) % len(chords)]
        label = next(label for start, end, label in spans if start <= at + 0.5 < end)
        right[chord].append(label == chord)
    return {chord: float(np.mean(row)) for chord, row in right.items()}


@pytest.mark.parametrize("tuning", [-0.4, 0.0, 0.4])
def test_sevenths_suspensions_and_basses_are_named_in_any_tuning(tuning: float) -> None:
    names = list(CHORDS)
    spans = chords_of(loop(names, tuning=tuning))
    labels = {label for _, _, label in spans}
    assert {"G:7", "C:maj/3"} <= labels
    assert {"A:min7", "D:sus4", "F:maj7"} & labels
    roots = [(start, end, f"{label[0]}:maj") for start, end, label in spans]
    found = shares(roots, [f"{name[0]}:maj" for name in names])
    assert min(found.values()) > 0.8, found


@each("names", [("C:min", "C:maj"), ("C:maj", "C:min"), ("A:min", "D:min", "E:maj", "A:min")])
def test_triads_over_one_root_and_in_minor_are_named(names: tuple[str, ...]) -> None:
    spans = chords_of(loop(names, table=BLOCKS))
    triads = [(start, end, label.replace("min7", "min")) for start, end, label in spans]
    assert min(shares(triads, names).values()) > 0.6


def metered(bar: int, eighth: float, low: Sequence[int], chords: Sequence[int], line: Sequence[int]) -> np.ndarray:
    """32 bars of `bar` eighths, or thirds of beats, of `eighth` s from 0.5 s on: those of bass, chords and melody."""
    sound, rng = np.zeros(round((32 * bar * eighth + 3.0) * RATE)), np.random.default_rng(5)
    for number in range(32):
        chord = LOOP[number % 4]
        strokes = [(at, 36 + chord[0] % 12, 0.5) for at in low]
        strokes += [(at, 60 + tone % 12, 0.15) for at in chords for tone in chord]
        strokes += [(at, 72 + int(rng.choice(chord)) % 12, 0.25) for at in line]
        for at, key, level in strokes:
            first = round((0.5 + (number * bar + at) * eighth) * RATE)
            wave = tone(key, 2 * eighth, level)
            sound[first : first + len(wave)] += wave
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


METERED = [
    ("4/4", (8, 0.25, (0, 4), (0, 2, 4, 6), (0, 1, 2, 4, 5, 6))),
    ("4/4", (12, 60 / 128 / 3, (0, 6), (0, 3, 6, 9), (0, 3, 5, 6, 9, 11))),
    ("3/4", (6, 0.25, (0,), (2, 4), (0, 2, 3, 4))),
    ("3/4", (6, 0.2, (0,), (2, 4), (0, 4))),
    ("6/8", (6, 0.16, (0, 3), (1, 2, 4, 5), (0, 2, 3, 4, 5))),
    ("6/8", (6, 0.2, (0, 3), (2, 5), (0, 1, 2, 3, 4, 5))),
    ("5/4", (10, 0.2, (0, 6), (2, 4, 8), (0, 2, 4, 5, 6, 8))),
]
"""Meter, and how it is played: by halves and quarters, swung, waltzes, jigs, three and two quarters."""


@each("meter, played", METERED)
def test_the_meter_and_its_bars(meter: str, played: tuple[Any, ...]) -> None:
    values, bar = found(metered(*played)), played[0] * played[1]
    truth = 0.5 + bar * np.arange(31)
    assert values["meter"] == meter
    assert share(values["downbeats"], truth[2:], within=0.07) > 0.9
    assert share(truth, np.asarray(values["downbeats"][2:-2]), within=0.07) > 0.9


def test_two_grids_of_a_tempo_outweigh_one_of_its_double(monkeypatch: pytest.MonkeyPatch) -> None:
    def scores(grids: list[beats.BeatGrid], _: tables.Tables) -> F64:
        tempi = np.array([grid.tempo for grid in grids])
        row = np.where(np.abs(tempi / 85.7 - 1.0) < 0.03, 0.9, -9.0)
        row[np.flatnonzero(np.abs(tempi / 171.4 - 1.0) < 0.03)[:1]] = 1.0
        return row

    monkeypatch.setattr(beats, "grid_scores", scores)
    assert found(metered(8, 0.35, *METERED[0][1][2:]))["tempo"] == pytest.approx(85.7, rel=0.01)


@each("odds, meter", [(1.0, None), (1.4, "3/4")])
def test_another_meter_than_four_needs_more_than_even_odds(
    monkeypatch: pytest.MonkeyPatch, odds: float, meter: str | None
) -> None:
    row = [{4: 0.0, 3: odds}.get(count, -9.0) for count in meters.BEATS]
    monkeypatch.setattr(meters, "meter_odds", lambda _, grids, __: np.tile(row, (len(grids), 1)))
    assert found(metered(*METERED[0][1]))["meter"] == meter


def test_without_its_weights_chords_are_triads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(music, "chord_network", lambda: None)
    spans = chords_of(loop(["C:maj", "G:7", "A:min7", "F:maj7"]))
    assert {label for _, _, label in spans} <= {"N", "C:maj", "G:maj", "A:min", "F:maj"}


def test_frames_are_alike_however_many_are_computed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    network = harmony.chord_network()
    assert network is not None
    rows = np.random.default_rng(1).uniform(0.0, 1.0, (40, 252)).astype(np.float32)
    whole = network(rows).chords
    monkeypatch.setattr(harmony, "_BLOCK", 7)
    np.testing.assert_allclose(network(rows).chords, whole, atol=1e-4)
    assert np.exp(whole).sum(axis=1) == pytest.approx(1.0, abs=1e-4)


def test_a_file_becomes_notes_and_a_file_of_chords(tmp_path: Path) -> None:
    names = ["C:maj/3", "F:maj7"]
    sound = loop(names, 6)
    with AudioWriter(tmp_path / "in.wav", RATE, 1, "PCM_16") as writer:
        writer.write(sound[None])
    beside = {"chords-out": tmp_path / "out.jams", "analysis": tmp_path / "out.json"}
    write_notes(FileJob("listen", tmp_path / "in.wav", tmp_path / "out.mid", {}, beside=beside))
    jams = json.loads((tmp_path / "out.jams").read_text())
    spans = [(row["time"], row["time"] + row["duration"], row["value"]) for row in jams["annotations"][0]["data"]]
    assert min(shares(spans, names).values()) > 0.7
    stated = json.loads((tmp_path / "out.json").read_text())
    assert min(shares([tuple(span) for span in stated["chords"]], names).values()) > 0.7
    assert stated["tempo"] == pytest.approx(60.0 / np.median(np.diff(stated["beats"])), rel=0.02)
    song = read_midi(tmp_path / "out.mid")
    keys = {note.number for note in song.tracks[-1].notes if song.seconds(note.start) > 2.0}
    assert {52, 60, 64, 67} <= keys, "C major over E below it, octave 4"


def test_chords_as_lines_and_as_jams() -> None:
    spans = [(0.0, 1.5, "N"), (1.5, 3.0, "F#:sus4/5")]
    assert chord_text(".lab", spans, 3.0, "x", "y") == "0.000000 1.500000 N\n1.500000 3.000000 F#:sus4/5\n"
    file = json.loads(chord_text(".jams", spans, 3.0, "x", "y"))
    assert set(file) == {"annotations", "file_metadata", "sandbox"}
    assert {"title", "duration", "jams_version", "artist", "release", "identifiers"} == set(file["file_metadata"])
    (annotation,) = file["annotations"]
    assert (annotation["namespace"], annotation["time"], annotation["duration"]) == ("chord", 0.0, 3.0)
    assert set(annotation["annotation_metadata"]["curator"]) == {"name", "email"}
    assert annotation["data"][1] == {"time": 1.5, "duration": 1.5, "value": "F#:sus4/5", "confidence": None}


@each("key, octave", [(24, 0), (60, 3), (94, 5)])
def test_a_tone_is_loudest_in_its_bin_and_as_loud_in_every_octave(key: int, octave: int) -> None:
    time = np.arange(4 * RATE) / RATE
    spectrum = spectra.ConstantQ()
    wave = np.sin(2 * np.pi * 440.0 * 2 ** ((key - 69) / 12) * time).astype(np.float32)
    for first in range(0, len(wave), 3000):
        spectrum.feed(wave[first : first + 3000])
    rows = spectrum.end()
    middle = rows[len(rows) // 2]
    assert len(rows) == len(wave) // spectra.HOP + 1
    assert int(middle.argmax()) == 3 * (key - 24)
    assert octave * spectra.BINS <= middle.argmax() < (octave + 1) * spectra.BINS
    # kernels grow by an octave's factor, 3 dB each
    assert 20 * np.log10(middle.max() / 2 ** ((94 - key) / 24)) == pytest.approx(18.855, abs=0.05)
