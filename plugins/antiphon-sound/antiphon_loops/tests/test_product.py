"""A piece is exactly as long as asked, in one key, on the grid, never silent, never over; a seed is a piece."""

import tomllib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from antiphon.api import AntiphonError
from antiphon.api.backends.analysis import LoudnessMeter
from antiphon_loops.analysis.reading import true_peak
from antiphon_loops.arrange import (
    LoopRequest,
    arrange,
    mean_compatibility,
    outside_share,
    parse_instrument_roles,
    semitones_to_key,
)
from antiphon_loops.library import analyse
from antiphon_loops.maker import onsets
from antiphon_loops.record import ROLES, scale_of
from antiphon_loops.rules import Rules, load
from antiphon_loops.tests.conftest import render

CARD = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_rules_shown_are_those_in_force():
    text = CARD.split("```toml\n")[1].split("```")[0]
    assert msgspec.convert(tomllib.loads(text), Rules) == Rules()
    assert set(tomllib.loads(text)) <= set(Rules.__struct_fields__)


RATE = 44100


def test_length_level_peak_and_no_silent_bar(library: Path):
    sound = render(library, {"bars": 8, "bpm": 97.3, "seed": 1}, RATE)
    assert abs(sound.shape[1] / RATE - 8 * 240 / 97.3) < 0.001
    assert -22 < LoudnessMeter.of(sound, RATE) < -10
    assert true_peak(sound, RATE) <= 1.0
    edges = np.round(np.arange(9) * 240 / 97.3 * RATE).astype(int)
    levels = [float(np.sqrt((sound[:, a:b] ** 2).mean())) for a, b in pairwise(edges)]
    assert min(levels) > 0.02


def test_drums_are_on_the_grid_at_any_tempo(library: Path):
    for bpm in (83.0, 141.0):
        sound = render(library, {"bars": 4, "bpm": bpm, "instruments": "drums"}, RATE)
        eighth = 30 / bpm
        off = np.array([(at / RATE + eighth / 2) % eighth - eighth / 2 for at in onsets(sound, RATE)])
        assert len(off) > 20
        assert np.mean(np.abs(off) < 0.010) > 0.9, bpm


def test_the_same_seed_is_the_same_piece_and_another_is_another(library: Path):
    pieces = [render(library, {"bars": 1, "bpm": 104.0, "seed": seed}, RATE) for seed in (1, 1, 2, 0)]
    np.testing.assert_array_equal(pieces[0], pieces[1])
    others = [not np.allclose(pieces[a], pieces[b], atol=1e-2) for a, b in ((0, 2), (0, 3), (2, 3))]
    assert all(others)


def test_everything_is_moved_into_one_key(library: Path):
    loops = analyse(library).loops
    for seed in range(6):
        plan = arrange(loops, LoopRequest(104.0, seed=seed), Rules())
        assert plan.key is not None
        for choice in plan.choices:
            if choice.loop.key is not None:
                assert (scale_of(choice.loop.key) + choice.shift) % 12 == scale_of(plan.key)
                assert outside_share(choice.loop, plan.key) < 0.35
    asked = arrange(loops, LoopRequest(104.0, key="E minor"), Rules())
    assert asked.key == "E minor"
    assert all(-5 <= semitones_to_key(x, "E minor") <= 6 for x in loops)


def test_loops_change_from_section_to_section(library: Path):
    loops = analyse(library).loops
    for seed in range(6):
        asked = LoopRequest(104.0, bars=16, seed=seed, instruments=("drums", "bass"))
        assert len(arrange(loops, asked, Rules()).choices) > 2
        assert len(arrange(loops, asked, Rules(variety=0.0)).choices) <= 2


def test_instruments_select_and_remove():
    assert parse_instrument_roles("") == ROLES
    assert parse_instrument_roles("bass, Drums") == ("drums", "bass")
    assert parse_instrument_roles("-melody") == ("drums", "bass", "chords")
    assert parse_instrument_roles("harmonic,-chords") == ("melody",)
    with pytest.raises(AntiphonError, match="kazoo"):
        parse_instrument_roles("kazoo")


def test_mood_chooses(library: Path):
    loops = analyse(library).loops
    rules = Rules(choices=1)
    chosen = {
        mood: [
            c.loop.arousal
            for s in range(8)
            for c in arrange(loops, LoopRequest(104.0, mood=mood, seed=s), rules).choices
        ]
        for mood in ("calm", "energetic")
    }
    assert np.mean(chosen["energetic"]) > np.mean(chosen["calm"])


def test_rules_are_read_and_refused(tmp_path: Path):
    (tmp_path / "rules.toml").write_text("section = 4\nform = [0.5, 1.0]\n[enters]\nbass = 0.5\n")
    rules = load(tmp_path)
    assert (rules.section, rules.form, rules.enters["bass"], rules.enters["drums"]) == (4, (0.5, 1.0), 0.5, 0.0)
    for text, said in (
        ("sections = 4", "sections"),
        ("section = 0", "section"),
        ("form = []", "form"),
        ("[enters]\nkazoo = 1", "enters"),
        ("section =", "rules.toml"),
    ):
        (tmp_path / "rules.toml").write_text(text)
        with pytest.raises(AntiphonError, match=said):
            load(tmp_path)


def test_the_take_whose_loops_go_together_best_is_played(library: Path):
    loops = analyse(library).loops
    assert all(len(loop.fit["fit"]) == 256 for loop in loops)
    request = LoopRequest(104.0, key="C major")
    one, best = (arrange(loops, request, Rules(takes=takes)) for takes in (1, 16))
    assert one.fit is not None
    assert best.fit is not None
    assert best.fit > one.fit
    assert best == arrange(loops, request, Rules())
    without = [replace(loop, fit={}) for loop in loops]
    assert arrange(without, request, Rules()).fit is None
    # a chord part that is a semitone off goes less well with the bass
    off = [replace(c, shift=c.shift + (c.role == "chords")) for c in best.choices]
    below = mean_compatibility(off, best.bars)
    assert below is not None
    assert below < best.fit


def test_a_stroke_of_a_sure_tempo_is_chosen_for_want_of_a_loop(library: Path):
    """A cymbal whose length is of bars of a round tempo lies on 16ths, as all that begins once does."""
    loops = list(analyse(library).loops)
    drums = [loop for loop in loops if loop.role == "drums"]
    stroke = replace(drums[0], file="splash.wav", bpm=104.0, bars=1, tempo_sure=1.0, straight=1.0, confidence=0.01)
    asked = [LoopRequest(104.0, instruments=("drums",), seed=seed) for seed in range(20)]
    for beside, count in (([*drums, stroke], 1), ([stroke], 20)):
        plans = [arrange(beside, request, Rules(choices=1)) for request in asked]
        assert sum(plan.choices[0].loop.file == "splash.wav" for plan in plans) <= count
    assert plans[0].choices[0].loop is stroke


def test_a_style_is_a_label_a_groove_or_a_word_of_the_name(library: Path):
    loops = list(analyse(library).loops)
    drums = [loop for loop in loops if loop.role == "drums"]
    for style in ("b", drums[1].style, "Hip-Hop"):
        with_label = [replace(x, labels={"hiphop" if x is not drums[1] else "hip hop": 0.9}) for x in loops]
        plan = arrange(with_label, LoopRequest(104.0, style=style), Rules(choices=1, fit=0.0, chance=0.1))
        chosen = next(c.loop for c in plan.choices if c.role == "drums")
        assert chosen.answers(style) == max(x.answers(style) for x in with_label if x.role == "drums") > 0.0


def test_a_sine_shifted_into_the_key_is_heard_there(library: Path):
    for key, pitch in (("C major", 0), ("D major", 2)):
        sound = render(library, {"bars": 4, "bpm": 110.0, "instruments": "chords", "key": key}, RATE)[0]
        spectrum = np.abs(np.fft.rfft(sound[: 2 * RATE] * np.hanning(2 * RATE)))
        chroma = np.zeros(12)
        for place in range(200, 2400):
            chroma[round(69 + 12 * np.log2(place / 2 / 440)) % 12] += spectrum[place] ** 2
        scale = [(pitch + s) % 12 for s in (0, 2, 4, 5, 7, 9, 11)]
        assert chroma[scale].sum() > 0.93 * chroma.sum(), key
