"""What is drawn is what the tags state, measured in notes and in sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from antiphon_models.classify.tags import effects, pieces, scenes
from antiphon_models.classify.tags.effects import RATE
from antiphon_models.classify.tags.labels import FAMILIES, LABELS, MUSICAL, SOUNDS
from antiphon_models.classify.tags.material import DIGITS, FOLDS, FONTS, VOICES
from antiphon_models.classify.tags.pieces import DRUMS, SECONDS, WrittenSong, arrange, score

NONE = scenes.SceneSources([], [])


def tags_of(row: np.ndarray) -> dict[str, float]:
    return dict(zip(LABELS, row.tolist(), strict=True))


def song(beat: float = 0.5) -> WrittenSong:
    """Two notes a beat in each part, for 80 beats."""
    beats = beat * np.arange(80)
    starts = np.repeat(beats, 2) + np.tile([0.0, beat / 2], 80)
    parts = {
        name: np.column_stack([starts, starts + 0.4 * beat, np.full(160, number), np.full(160, 80.0)])
        for name, number in (("MELODY", 76), ("BRIDGE", 67), ("PIANO", 60))
    }
    return WrittenSong(parts, beats, np.arange(80) % 4)


@pytest.mark.parametrize("seed", range(12))
def test_a_piece_plays_what_its_tags_state(seed: int) -> None:
    piece = arrange(song(), np.random.default_rng(seed))
    notes = piece.notes
    assert notes[:, 0].min() >= 0.0
    assert notes[:, 1].max() <= SECONDS + 1e-9
    channels = set(notes[:, 4].astype(int))
    assert (DRUMS in channels) == (piece.tags["drums"] == 1.0)
    for family, programs in FAMILIES.items():
        playing = [channel for channel, program in piece.programs.items() if program in programs]
        seconds = sum(float((notes[notes[:, 4] == c, 1] - notes[notes[:, 4] == c, 0]).sum()) for c in playing)
        assert piece.tags[family] == (1.0 if seconds >= 0.8 else 0.0)
    if piece.tags["solo"]:
        assert len(channels) == 1
        assert not piece.tags["drums"]
    # two notes a beat: how far they are apart gives the tempo
    apart = np.diff(np.unique(np.round(notes[notes[:, 4] == 0, 0], 4))).min()
    tempo = 60.0 / (2.0 * apart)
    if tempo > 127.0:
        assert piece.tags["fast"] == 1.0
    if tempo < 79.0:
        assert (piece.tags["slow"], piece.tags["fast"]) == (1.0, 0.0)
    assert set(piece.tags) == {*MUSICAL, "distorted"}


def test_a_file_of_pieces_has_each_at_its_place(tmp_path: Path) -> None:
    from antiphon.api.backends.files import read_midi

    drawn = [arrange(song(), np.random.default_rng(n)) for n in range(3)]
    (tmp_path / "a.mid").write_bytes(score(drawn))
    read = read_midi(tmp_path / "a.mid")
    starts = np.sort([read.seconds(note.start) for track in read.tracks for note in track.notes])
    expected = np.sort(
        np.concatenate([piece.notes[:, 0] + n * (SECONDS + pieces.GAP) for n, piece in enumerate(drawn)])
    )
    # a note that begins again ends the one before it, at most
    assert abs(len(starts) - len(expected)) <= 0.05 * len(expected)
    assert np.abs(np.interp(starts, expected, expected) - starts).max() < 0.01


def tone(hertz: float = 440.0) -> np.ndarray:
    time = np.arange(scenes.FRAMES) / RATE
    return effects.normalise((np.sin(2 * np.pi * hertz * time) * (time % 1.0 < 0.2)).astype(np.float32))


def test_effects_do_what_their_tag_says() -> None:
    rng, plain = np.random.default_rng(1), tone()

    def share(sound: np.ndarray, low: float, high: float) -> float:
        power = np.abs(np.fft.rfft(sound)) ** 2
        hertz = np.fft.rfftfreq(len(sound), 1.0 / RATE)
        return float(power[(hertz > low) & (hertz < high)].sum() / power.sum())

    assert share(effects.distort(plain, rng), 1200.0, 11000.0) > 0.05 > 10 * share(plain, 1200.0, 11000.0)
    silent = (np.arange(len(plain)) / RATE) % 1.0 > 0.4
    assert plain[silent].std() < 1e-6
    assert effects.reverberant(plain, rng)[silent].std() > 0.03
    white = effects.normalise(rng.normal(size=scenes.FRAMES).astype(np.float32))
    assert share(effects.narrow(white, rng), 4500.0, 11000.0) < 0.02
    assert share(effects.narrow(white, rng), 0.0, 120.0) < 0.02
    assert 0.2 < effects.noisy(plain, rng)[silent].std() / effects.noisy(plain, rng).std() < 1.0
    for sound in (effects.distort(plain, rng), effects.noisy(plain, rng), effects.noise(scenes.FRAMES, rng)):
        assert abs(float(np.sqrt((sound**2).mean())) - 0.1) < 1e-3


def test_a_scene_of_noise_and_one_of_music() -> None:
    rng = np.random.default_rng(2)
    sound, row = scenes.scene("noise", None, None, NONE, rng)
    tags = tags_of(row)
    assert tags["noise"] == 1.0
    assert {name for name, value in tags.items() if value == 1.0} == {"noise"}
    assert np.isnan(tags["fast"])
    assert len(sound) == scenes.FRAMES
    piece = arrange(song(), np.random.default_rng(3))
    tags = tags_of(scenes.scene("music", tone(), piece, NONE, rng)[1])
    same = [tags[name] == piece.tags[name] or np.isnan(piece.tags[name]) for name in MUSICAL]
    assert all(same)
    assert tags["speech"] == 0.0


def test_a_recording_loud_over_music_leaves_the_musics_tags_open(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "1-1-A.wav", np.random.default_rng(4).normal(0.0, 0.1, 44100), 44100)
    sources = scenes.SceneSources([], [(tmp_path / "1-1-A.wav", "rain")])
    piece = arrange(song(), np.random.default_rng(3))
    rows = [
        tags_of(scenes.scene("sound over music", tone(), piece, sources, np.random.default_rng(n))[1])
        for n in range(12)
    ]
    assert all(row["rain"] == 1.0 and row["sea"] == 0.0 for row in rows)
    open_ones = [np.isnan(row["drums"]) for row in rows]
    assert any(open_ones)
    assert not all(open_ones)
    # rain is noise of a kind; noise that was added is stated
    assert all(np.isnan(row["noise"]) or row["noise"] == 1.0 for row in rows)


def test_nothing_is_in_two_splits() -> None:
    for table in (DIGITS, FOLDS, FONTS):
        parts = [set(table[split]) for split in ("train", "choose", "measure")]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]
    voices = [{voice for row in VOICES[split] for voice in row} for split in ("train", "choose", "measure")]
    assert not voices[0] & voices[1]
    assert not (voices[0] | voices[1]) & voices[2]
    assert len(set(LABELS)) == len(LABELS) == 25
    assert set(SOUNDS) | set(FAMILIES) < set(LABELS)
