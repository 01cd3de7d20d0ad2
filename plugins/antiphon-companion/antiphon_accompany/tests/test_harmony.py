"""Key and chord: of plain tunes, transposed, and without the tables that ship."""

import logging
import re

import numpy as np
import pytest
from tests import accepted
from tests.each import each

from antiphon.api import UsageError
from antiphon.api.backends.models import ModelError
from antiphon.live.patterns.harmony import symbol
from antiphon_accompany.band.parts import BeatNote
from antiphon_accompany.files.offline import accompany_file, melody_of
from antiphon_accompany.harmony import tracker as tables
from antiphon_accompany.harmony.chords import KEYS, KINDS, Chord, absolute, label, parse, read_chord, relative
from antiphon_accompany.harmony.chordtext import replaced_chords_remark, spans_of
from antiphon_accompany.harmony.melody import Melody
from antiphon_accompany.harmony.melody_chords import MelodyChords
from antiphon_accompany.harmony.tracker import HarmonyTracker, features
from antiphon_accompany.tests.playing import TUNE


def told(up: int, given: tables.HarmonyTables, known: int) -> tuple[list[int], int]:
    """Chords of the tune `up` semitones higher, seen from its tonic, and its key."""
    melody = melody_of([BeatNote(n.start, n.end, n.pitch + up) for n in TUNE], 32)
    tracker = HarmonyTracker(given)
    made = []
    for beat in range(32):
        for past in range(max(0, beat + known - 1), beat + known) if beat else range(known):
            tracker.add_beat(melody, past)
        made.append(relative(int(tracker.decide(melody, beat, known).argmax()), up))
    return made, tracker.key


@pytest.mark.parametrize("plain", [False, True])
def test_a_transposed_tune_has_transposed_chords(plain: bool) -> None:
    given = tables.plain() if plain else tables.installed_tables()
    one, key = told(0, given, 0)
    assert plain or KEYS[key] == "C"
    for up in (3, 10):
        other, moved = told(up, given, 0)
        # before anything was heard all keys are alike
        assert other[4:] == one[4:]
        assert moved == (key + up) % 12


@pytest.mark.parametrize("up", [5, 7])
def test_live_a_tune_that_goes_on_in_another_key_is_heard_in_it_within_two_bars(up: int) -> None:
    """The tune's notes up a fourth, or a fifth, are all of the old key: only what it did before tells."""
    moved = [BeatNote(n.start + 32, n.end + 32, n.pitch + up) for n in TUNE]
    melody = melody_of([*TUNE, *moved], 64)
    tracker = HarmonyTracker(tables.installed_tables(), live=True)
    keys = []
    for beat in range(64):
        tracker.add_beat(melody, beat)
        # a minor key is its relative's
        keys.append((tracker.key + 3 * (tracker.key // 12)) % 12)
    assert {keys[n] for n in range(24, 32)} == {0}
    assert {keys[n] for n in range(40, 60)} == {up}


def test_knowing_what_comes_helps() -> None:
    # a chord of the tune in the human's ear: bars on C, C, G, C, ...
    fits = [sum(c in (0, 7) for c in told(0, tables.installed_tables(), known)[0]) for known in (0, 8)]
    assert fits[1] >= 18


def test_a_chord_stays_in_silence() -> None:
    chords = MelodyChords()
    tracker = chords.settle(4, "auto", 0)
    made = []
    for beat in range(1, 60):
        for note in TUNE:
            if beat - 1 <= note.start < beat:
                chords.melody.note_on(note.pitch, note.start)
                chords.melody.note_off(note.pitch, note.end)
        made.append(chords.triad(tracker, beat, 0, used=True))
    end = int(max(note.end for note in TUNE)) + 5
    assert end < 50
    assert len(set(made[end:])) == 1 < len(set(made[:end]))


def test_no_chord_stays_before_the_first_and_after_a_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    chords = MelodyChords()
    tracker = chords.settle(4, "auto", 0)
    chances = np.zeros(24)
    chances[[0, 7]] = 1.0, 1.005
    monkeypatch.setattr(tracker, "decide", lambda *_: chances.copy())
    assert chords.triad(tracker, 1, 0, used=False) == 7
    # a note sounds: in silence it would stay, however likely another chord is
    chords.melody.note_on(67, 1.0)
    for beat, likelier, expected in ((2, 1.005, 7), (3, 1.1, 0), (4, 0.9, 7)):
        chances[[0, 7]] = likelier, 1.0
        assert chords.triad(tracker, beat, 0, used=False) == expected
    chances[[0, 7]] = 1.005, 1.0
    chords.begin(9, 8)
    assert chords.triad(tracker, 9, 0, used=False) == 0


def test_rows_hold_what_was_played() -> None:
    melody = Melody()
    melody.clear(0)
    melody.note_on(60, 0.5)
    melody.complete_beats(1)
    melody.note_on(64, 1.0)
    melody.note_off(60, 1.25)
    melody.complete_beats(2)
    np.testing.assert_allclose(melody.durations[:2, [0, 4]], [[0.5, 0.0], [0.25, 1.0]])
    np.testing.assert_array_equal(melody.onsets[:2, [0, 4]], [[0, 0], [0, 1]])
    np.testing.assert_array_equal(melody.held[1:3, [0, 4]], [[1, 0], [0, 1]])
    assert features(melody, 2, 0).shape == (7, 12)


def test_a_note_of_hours_costs_no_more_than_the_ring() -> None:
    melody = Melody()
    melody.clear(0)
    melody.note_on(60, 0.0)
    for beat in range(1, 1000):
        melody.complete_beats(beat)
    assert melody.durations.max() == 1.0
    assert melody.durations[990 % melody.size, 0] == 1.0


def test_without_tables_it_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(name: str) -> None:
        raise ModelError(f"no model {name!r} is installed")

    monkeypatch.setattr(tables, "read_weights", missing)
    tables.installed_tables.cache_clear()
    try:
        with caplog.at_level(logging.WARNING, "antiphon.accompany"):
            made = accompany_file(TUNE)
    finally:
        tables.installed_tables.cache_clear()
    assert "plain rules" in caplog.text
    assert len({int(n.start // 4) for n in made}) == 8


def test_labels() -> None:
    assert [parse(t) for t in ("C:maj", "Bb:min7/b7", "F#:7", "Cb:maj", "G:sus4(b7)", "N")] == [0, 22, 6, 11, -1, -2]
    for chord in range(24):
        assert parse(label(chord)) == chord
        assert absolute(relative(chord, 5), 5) == chord


def read_symbol(text: str) -> str:
    chord = read_chord(text)
    return "none" if chord is None else chord.name


def read_bars(text: str) -> str:
    return " ".join(span.chord.name if span.chord else "N" for span in spans_of(text, 4.0))


def test_symbols_and_bars_of_lead_sheets_are_read() -> None:
    accepted.compare_calls(__file__, UsageError, symbol=read_symbol, bars=read_bars)


def test_every_kind_is_read_from_its_name_and_its_label() -> None:
    chords = [Chord(2, kind, 2) for kind in KINDS]
    assert [read_chord(chord.name) for chord in chords] == chords
    assert [read_chord(chord.label) for chord in chords] == chords


def test_live_words_know_the_same_symbols() -> None:
    for chord in (Chord(root, kind, root) for root in (2, 10) for kind in KINDS):
        notes, bass = symbol(chord.name)
        # a thirteenth is played without its ninth and eleventh
        assert {int(note) % 12 for note in notes} >= set(chord.tones)
        assert bass == chord.bass
    assert symbol("E♭ø/D♭") == ((51, 54, 57, 61), 1)
    assert symbol("F7(b9,#11)")[0] == (53, 57, 60, 63, 66, 71)


@each("word", ["Cfoo", "Q", "C:maj/x", "C" * 80])
def test_what_is_no_symbol_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=re.escape(word)):
        read_chord(word)


def test_a_chord_that_is_played_by_a_nearer_one_is_said() -> None:
    assert replaced_chords_remark("| Em | H7 | B7 |") == "B7 as Bb7"
    assert replaced_chords_remark("| Cmaj13 | G7 | Db7b9b13 | G13 |") == "Cmaj13 as Cmaj9, Db7b9b13 as Db7b9"
    assert replaced_chords_remark("0.0 2.0 C:maj7") == ""
