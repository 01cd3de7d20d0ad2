"""The network beside the tables: what it reads, in which key, and files without it."""

import logging

import numpy as np
import pytest

from antiphon.api.backends.models import ModelError, read_weights
from antiphon_accompany.band.parts import BeatNote
from antiphon_accompany.files.offline import HarmonyResult, accompany_file, melody_of
from antiphon_accompany.harmony import live_network, network
from antiphon_accompany.harmony.live_network import LiveChordNetwork
from antiphon_accompany.harmony.network import (
    AFTER,
    FEATURE_COUNT,
    ChordNetwork,
    WholeMelody,
    beat_rows,
    rotate_to_tonic,
)
from antiphon_accompany.harmony.tracker import PHASES, PHASES_AHEAD, HarmonyTracker, installed_tables
from antiphon_accompany.tests.playing import TUNE

BEATS = 32


def up(notes: list[BeatNote], by: int) -> list[BeatNote]:
    return [n._replace(pitch=n.pitch + by) for n in notes]


def chords(notes: list[BeatNote], lookahead: int = 8) -> list[int]:
    labels: list[tuple[float, int]] = []
    accompany_file(notes, {"lookahead": lookahead}, heard=HarmonyResult(labels=labels))
    return [chord for _, chord in labels]


def test_the_rows_of_a_beat() -> None:
    rows = beat_rows(melody_of([BeatNote(0.5, 2.25, 62), BeatNote(2.25, 3.0, 71)], 4), 0, 4, 4)
    assert rows.shape == (4, FEATURE_COUNT)
    np.testing.assert_allclose(rows[:, 2], [0.5, 1.0, 0.25, 0.0])
    np.testing.assert_allclose(rows[:, 24 + 2], [0, 1, 1, 0])
    np.testing.assert_array_equal(rows[:, 36:], np.eye(4))
    np.testing.assert_allclose(rotate_to_tonic(rows, 2)[:, 0], rows[:, 2])
    np.testing.assert_allclose(rotate_to_tonic(rows, 2)[:, 9], rows[:, 11])


def test_it_reads_a_melody_relative_to_its_key_and_a_minor_one_to_the_relative_major() -> None:
    weights = np.zeros((1, 2, 12), np.float32)
    weights[0, 0, 0] = 1.0
    minor = np.zeros((1, 2, 12), np.float32)
    minor[0, 1, 9] = 1.0
    made = ChordNetwork(read_weights(network.MODEL))
    flat = np.full(24, 1 / 24, np.float32)
    here = WholeMelody(made, melody_of(TUNE, BEATS), BEATS, 4)
    there = WholeMelody(made, melody_of(up(TUNE, 5), BEATS), BEATS, 4)
    for beat in (0, 13, 31):
        one = here.mix(flat, beat, weights)
        assert one.sum() == pytest.approx(1.0, abs=1e-5)
        np.testing.assert_allclose(here.mix(flat, beat, minor), one, atol=1e-6)
        two = there.mix(flat, beat, np.roll(weights, 5, axis=2))
        np.testing.assert_allclose(two.reshape(2, 12), np.roll(one.reshape(2, 12), 5, axis=1), atol=1e-5)


def test_live_it_reads_a_melody_relative_to_its_key() -> None:
    flat, weights = np.full(24, 1 / 24, np.float32), np.zeros((1, 2, 12), np.float32)
    weights[0, 0, 0] = 1.0
    here, there = (live_network.LiveChords(LiveChordNetwork(read_weights(live_network.MODEL)), 4) for _ in range(2))
    low, high = melody_of(TUNE, BEATS), melody_of(up(TUNE, 5), BEATS)
    for beat in range(BEATS):
        one = here.mix(flat, low, beat, weights)
        two = there.mix(flat, high, beat, np.roll(weights, 5, axis=2))
        np.testing.assert_allclose(two.reshape(2, 12), np.roll(one.reshape(2, 12), 5, axis=1), atol=1e-5)
    assert one.sum() == pytest.approx(1.0, abs=1e-5)


def test_live_it_catches_up_with_beats_not_asked_for_and_with_those_foreseen_wrongly() -> None:
    flat, weights = np.full(24, 1 / 24, np.float32), np.full((1, 2, 12), 1 / 24, np.float32)
    network = LiveChordNetwork(read_weights(live_network.MODEL))
    melody, other = melody_of(TUNE, BEATS), melody_of(up(TUNE, 1), BEATS)
    for first, skipped in ((4, 5), (0, live_network.MAX_BACKLOG - 1)):
        always, now_and_then = (live_network.LiveChords(network, 4) for _ in range(2))
        for beat in range(BEATS):
            wanted = always.mix(flat, melody, beat, weights)
            if first <= beat < first + skipped:
                now_and_then.skip(melody, beat)
                assert not now_and_then.prepare(melody, beat + 1, soon=True)
                continue
            made = now_and_then.mix(flat, melody, beat, weights)
            if beat == first + skipped:
                np.testing.assert_array_equal(made, flat)
            else:
                np.testing.assert_allclose(made, wanted, atol=1e-6)
            for _ in range(beat):
                now_and_then.prepare(melody if beat % 3 else other, beat + 1, soon=beat % 2 == 0)


def test_a_long_melody_is_read_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "STRETCH", 64)
    notes = [BeatNote(float(n), n + 1.0, 60 + (0, 4, 7, 5)[n % 4]) for n in range(164)]
    whole = WholeMelody(ChordNetwork(read_weights(network.MODEL)), melody_of(notes, len(notes)), len(notes), 4)
    weights = np.full((1, 2, 12), 1 / 24, np.float32)
    assert np.isfinite(whole.mix(np.full(24, 1 / 24, np.float32), len(notes) + AFTER - 1, weights)).all()


def test_files_are_by_it_from_a_lookahead_of_eight_bars_on() -> None:
    # six times the tune, and the last four a semitone higher
    song = [n._replace(start=n.start + BEATS * k, end=n.end + BEATS * k) for k in range(6) for n in TUNE]
    other = [*song[: 2 * len(TUNE)], *up(song[2 * len(TUNE) :], 1)]
    same = 2 * BEATS - 7 * 4
    assert chords(song, 7)[:same] == chords(other, 7)[:same]
    found, by_tables = chords(song), _by_tables(song)
    assert len(found) == len(by_tables) == 6 * BEATS
    assert 3 * BEATS < sum(a == b for a, b in zip(found, by_tables, strict=True)) < len(found)


@pytest.mark.parametrize("live", [False, True])
def test_without_its_weights_the_tables_decide_and_it_says_so(
    live: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(name: str) -> None:
        raise ModelError(f"no model {name!r} is installed")

    installed = live_network.installed_live_network if live else network.installed_network
    with_it = chords(TUNE, 0 if live else 8)
    monkeypatch.setattr(network, "read_weights", missing)
    installed.cache_clear()
    try:
        with caplog.at_level(logging.WARNING, "antiphon.accompany"):
            made = chords(TUNE, 0 if live else 8)
    finally:
        installed.cache_clear()
    assert "its tables alone" in caplog.text
    assert made == _by_tables(TUNE, live=live)
    assert made != with_it or not live


def _by_tables(notes: list[BeatNote], *, live: bool = False) -> list[int]:
    count = round(max(n.end for n in notes))
    phases = PHASES if live else PHASES_AHEAD
    melody, tracker = melody_of(notes, count), HarmonyTracker(installed_tables(), phases=phases, live=live)
    made, known = [], 0
    for beat in range(count):
        ahead = 0 if live else min(32, count - beat)
        for past in range(known, beat + ahead):
            tracker.add_beat(melody, past)
        known = max(known, beat + ahead)
        made.append(int(tracker.decide(melody, beat, ahead).argmax()))
    return made


def test_arrays_of_another_network_are_refused() -> None:
    arrays = read_weights(network.MODEL)
    arrays["out.bias"] = arrays["out.bias"][:12]
    with pytest.raises(ModelError, match=r"out.bias is \[12\] and should be \[24\]"):
        ChordNetwork(arrays)
