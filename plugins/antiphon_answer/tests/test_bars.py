"""The bar model: pieces that go on by it, in parts, by seed and as files."""

from pathlib import Path

import numpy as np
import pytest

from antiphon.api import UsageError, Value
from antiphon.api.backends.files import MidiNote, MidiTrack, read_midi, write_midi
from antiphon.api.backends.models import ModelError
from antiphon.api.jobs import FileJob
from antiphon_answer.bar_drums import drum_bar, with_fills
from antiphon_answer.bar_features import BASS, CHORDS, DRUMS, MELODY, BarEvent, in_order
from antiphon_answer.bar_model import UNITS, BarModel, installed_bars
from antiphon_answer.bar_writing import MIN_MEMORY_EVENTS, BarPlayer
from antiphon_answer.improviser import Improviser
from antiphon_answer.jobs import run
from antiphon_answer.prior import SCALES, installed_prior
from antiphon_models.learning.user_commands import command

TUNE = [BarEvent(MELODY, 2 * n, 60 + (0, 2, 4, 7, 5, 4, 2, 0)[n % 8]) for n in range(48)]
BAND = in_order(
    [
        *TUNE,
        *(BarEvent(CHORDS, slot, (0, 5, 7)[slot // 16 % 3]) for slot in range(0, 96, 16)),
        *(BarEvent(BASS, slot, 36 + slot // 8 % 3) for slot in range(0, 96, 8)),
        *(BarEvent(DRUMS, slot, code) for slot in range(0, 96, 4) for code in (0, 2)),
    ]
)


def player(events: list[BarEvent], key: int = 0) -> BarPlayer:
    improviser = Improviser(installed_prior())
    improviser.fixed = key
    improviser.clear()
    made = BarPlayer(installed_bars(), improviser, alone=all(e.part == MELODY for e in events))
    for event in events:
        made.learn(event)
    return made


def test_it_writes_bars_of_all_parts() -> None:
    made = player(BAND).write(96, 8, seed=1)
    assert {e.part for e in made} == {CHORDS, MELODY, BASS, DRUMS}
    assert all(96 <= e.slot < 96 + 128 for e in made)
    assert all(0 <= e.code < {CHORDS: 24, DRUMS: 8}.get(e.part, 128) for e in made)
    assert made == in_order(made)
    tune = [e for e in made if e.part == MELODY]
    assert sum(e.code % 12 in SCALES[0] for e in tune) > 0.9 * len(tune)
    assert tune[-1].code % 12 in (0, 4, 7)
    assert tune[-1].slot + tune[-1].length == 96 + 128
    assert [e.code for e in made if e.part == CHORDS][-1] == 0


@pytest.mark.parametrize("bar", [16, 12])
def test_drums_begin_with_a_bar_that_has_a_snare(bar: int) -> None:
    made = drum_bar(bar, 2 * bar, seed=1)
    assert made == in_order(made, bar)
    assert {e.code for e in made} == {0, 1, 2}
    assert {e.slot // bar for e in made} == {2}
    assert BarEvent(DRUMS, 2 * bar + 4, 1) in made
    assert made != drum_bar(bar, 2 * bar, seed=2) or bar == 12


@pytest.mark.parametrize("bar", [16, 12])
def test_drums_have_a_fill_before_each_phrase_but_the_end(bar: int) -> None:
    plain = [event for n in range(24) for event in drum_bar(bar, bar * n, seed=1)]
    made = with_fills(plain, bar, 0, 24 * bar, seed=1)
    assert made == in_order(made, bar)
    toms = {e.slot // bar for e in made if e.code == 4}
    assert toms == {7, 15}
    assert {e.slot for e in made if e.code == 5} == {8 * bar, 16 * bar}
    slots = [e.slot for e in made]
    assert max(map(slots.count, slots)) <= 3
    assert [e for e in made if e.slot // bar not in (7, 8, 15, 16)] == [
        e for e in plain if e.slot // bar not in (7, 8, 15, 16)
    ]
    first, second = ({e.slot % bar for e in made if e.slot // bar == n and e.code == 4} for n in (7, 15))
    assert first != second


def test_a_bass_stays_on_its_strings() -> None:
    low = [BarEvent(CHORDS, 0, 4), BarEvent(MELODY, 0, 64), BarEvent(MELODY, 4, 67), BarEvent(BASS, 0, 28)]
    made = player(low, key=4).write(16, 16, seed=3)
    assert {28 <= e.code <= 55 for e in made if e.part == BASS} == {True}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_bass_follows_the_chords_of_a_whole_song(seed: int) -> None:
    bars = 48
    chords = [BarEvent(CHORDS, 16 * n, (0, 9 + 12, 5, 7)[n % 4]) for n in range(bars)]
    tune = [event._replace(slot=event.slot + 96 * n) for n in range(8) for event in TUNE]
    improviser = Improviser(installed_prior())
    improviser.clear()
    player = BarPlayer(installed_bars(), improviser, alone=False, enough=MIN_MEMORY_EVENTS)
    made = player.fill([BarEvent(BASS, 0, 36)], [*chords, *tune], 16 * bars, seed)
    roots = {chord.slot: chord.code % 12 for chord in chords}
    first = {e.slot // 16: e.code % 12 for e in reversed(made)}
    assert len(first) > 0.9 * bars
    assert sum(code == roots[16 * bar] for bar, code in first.items()) > 0.7 * len(first)
    tones = {0: (0, 4, 7), 9: (9, 0, 4), 5: (5, 9, 0), 7: (7, 11, 2)}
    assert sum(e.code % 12 in tones[roots[e.slot // 16 * 16]] for e in made) > 0.7 * len(made)
    assert len({e.code for e in made}) > 4


def test_the_seed_is_the_piece() -> None:
    one, again, other = (player(TUNE).write(96, 4, seed=seed) for seed in (1, 1, 2))
    assert one == again != other


def test_chances_are_chances() -> None:
    playing = player(TUNE)
    chances = np.array([playing.values(MELODY, time).sum() for time in (1, 2, 4)])
    assert chances == pytest.approx(1.0)
    assert playing.surprise(BarEvent(MELODY, 96, 60)) < playing.surprise(BarEvent(MELODY, 99, 73))


def test_a_file_goes_on_in_its_tracks(tmp_path: Path) -> None:
    tracks = [
        MidiTrack("melody", tuple(MidiNote(e.slot / 4, 0.5, e.code) for e in TUNE)),
        MidiTrack("bass", tuple(MidiNote(n, 1.0, 36 + n % 3 * 2, 0.7, 2) for n in range(24))),
        MidiTrack("other", (MidiNote(0.0, 24.0, 50, 0.5, 3),)),
    ]
    write_midi(tmp_path / "in.mid", tracks, 120.0)
    wishes: dict[str, Value] = {"by": "bars", "bars": 4}
    (written,) = run(FileJob("continue", tmp_path / "in.mid", tmp_path / "out.mid", wishes))
    made = {track.name: track.notes for track in read_midi(tmp_path / "out.mid").tracks if track.notes}
    for track in tracks[:2]:
        assert [n.start for n in made[track.name][: len(track.notes)]] == [n.start for n in track.notes]
        assert len(made[track.name]) > len(track.notes)
        assert max(n.end for n in made[track.name]) <= 40.0
    assert len(made["other"]) == 1
    assert written.found[0] == f"{sum(map(len, made.values())) - sum(len(t.notes) for t in tracks)} notes added"


def test_without_the_network_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModelError(f"the weights {name}.safetensors cannot be read: No such file or directory")

    monkeypatch.setattr("antiphon_answer.bar_model.read_weights", missing)
    installed_bars.cache_clear()
    write_midi(tmp_path / "in.mid", [MidiTrack("melody", (MidiNote(0.0, 1.0, 60), MidiNote(1.0, 1.0, 62)))], 120.0)
    with pytest.raises(UsageError, match=r"by=bars cannot be used: .*; say by=memory, which needs no network"):
        command("run", "continue", tmp_path / "in.mid", tmp_path / "out.mid", "-p", "by=bars")
    assert not (tmp_path / "out.mid").exists()


def test_other_arrays_are_refused() -> None:
    with pytest.raises(ModelError, match=r"event_table.weight is missing"):
        BarModel({"gru.bias_ih_l0": np.zeros(3 * UNITS)})
