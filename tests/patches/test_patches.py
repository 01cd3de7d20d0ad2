"""What single patches do; `test_instruments` plays all that are listed."""

import re

import numpy as np
import pytest
from tests.patches.performances import PERFORMANCES

from antiphon.cli.command import Command
from antiphon.cli.files.render import render
from antiphon.demo import BAND
from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.graph.patch import load
from antiphon.kernel.runtime import resources
from antiphon.kernel.session.commands import Sample, SetParam
from antiphon.kernel.session.notes import Players
from antiphon.offline.player import FilePlayer
from antiphon.testing import sound

RATE = 48000
BUILT_IN = sorted(path.stem for path in resources.patches().glob("*.toml"))


def played(loaded, name, audio, commands=(), block=256):
    patch = load(resources.patches() / f"{name}.toml", loaded.catalog, trusted=True)
    player = FilePlayer(patch.graph, loaded.catalog, loaded.make, StreamSpec(RATE, block, 2), patch.tempo, commands)
    out = player.sound([audio])
    assert player.failures == []
    return out


def phrases(seconds=2.0):
    """Bursts of a chord over a little noise: what a performer would send."""
    t = np.arange(round(seconds * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6)) * 0.12 * (t % 1.0 < 0.4)
    return np.stack([chord, chord]).astype(np.float32) + np.random.default_rng(1).normal(0, 3e-3, (2, len(t))).astype(
        np.float32
    )


# patches that are not in performances.py: what is supplied (a loop), RMS in dB from and to, attacks from and to
SUPPLIED = {"bench8": ((-30, -20), (12, 22)), "through": ((-26, -16), (14, 22)), "worker": ((-26, -16), (14, 22))}
# tests of antiphon_sing, where there is a voice, and of antiphon_record, where there is a recording
OF_PLUGINS = {"cantor", "withme"}
SECONDS = 5.0
# what the live sets play on: tests/patches/test_live_sets.py
OF_SETS = {
    re.search(r'^patch\("(\w+)"\)$', path.read_text(), re.MULTILINE)[1]  # type: ignore[index]
    for path in (resources.patches() / "live").glob("*.py")
} | {"strudel", "kitband"}  # of translated programs: tests/paste; as `band`, by the sampler


def test_it_says_what_it_is_for():
    for name in BUILT_IN:
        text = (resources.patches() / f"{name}.toml").read_text()
        assert re.match(r"# [A-Z].{20,}[.]\n", text), "a patch begins with a sentence on when to play it"


@pytest.mark.parametrize("name", sorted(SUPPLIED))
def test_it_renders_what_it_is_given(name, tmp_path, capsys):
    level, attacks = SUPPLIED[name]
    given, out = tmp_path / "loop.wav", tmp_path / "out.wav"
    sound.write(given, sound.read(BAND)[0][:, : round(SECONDS * RATE)])
    Command(None, render).call(patch=name, out=str(out), source=[str(given)], tail=0.0)
    assert capsys.readouterr().err == ""
    heard, rate = sound.read(out)
    assert heard.shape == (2, round(SECONDS * RATE))
    assert rate == RATE
    assert np.abs(heard).max() < 0.999, "it clips"
    assert level[0] <= sound.level(heard) <= level[1]
    found = sound.attacks(heard)
    assert attacks[0] <= len(found) <= attacks[1], found


def test_each_is_played_by_one_test_or_the_other():
    assert set(SUPPLIED) | set(PERFORMANCES) | OF_SETS | OF_PLUGINS == set(BUILT_IN)
    assert not OF_SETS & set(SUPPLIED)


@pytest.mark.parametrize("name", ["through", "worker"])
def test_neither_changes_a_bit(loaded, name):
    audio = phrases()
    np.testing.assert_array_equal(played(loaded, name, audio), audio)


def test_cast_sings_on_a_fresh_install(loaded):
    """The vowel of the choir that ships stands out more than in what comes in."""
    audio = 3.0 * phrases()
    made = played(loaded, "cast", audio)

    def vowel(x):
        power, hertz = np.abs(np.fft.rfft(x[0])) ** 2, np.fft.rfftfreq(x.shape[1], 1 / RATE)
        return power[(hertz > 600) & (hertz < 1300)].sum() / power[(hertz > 100) & (hertz < 600)].sum()

    assert vowel(made) > 3.0 * vowel(audio)


def test_click_is_on_its_sample(loaded):
    at = [0, 255, 256, 9999, 50000]
    commands = [SetParam("click", "fire", True, when=Sample(n)) for n in at]
    out = played(loaded, "click", np.zeros((2, 60000), np.float32), commands)
    np.testing.assert_array_equal(np.nonzero(out[0])[0], at)


@pytest.mark.needs("accompany", "follow", "hum")
@pytest.mark.parametrize(
    ("name", "played"),
    [("songband", {"tune", "ears", "follow"}), ("trio", {"piano", "follow"}), ("duo", {"tune", "ears", "follow"})],
)
def test_a_keyboard_plays_the_soloist_and_no_other_part_of_a_band(loaded, name, played):
    graph = load(resources.patches() / f"{name}.toml", loaded.catalog, trusted=True).graph
    assert set(Players(graph, loaded.catalog).free) == played


def test_the_demo_answers_in_its_time(loaded):
    audio = phrases()
    audio[:, RATE // 2 :] = 0.0
    out = played(loaded, "demo", audio)
    call, echo, rest = (np.sqrt(np.mean(out[:, a:b] ** 2)) for a, b in ((4000, 19000), (28000, 43000), (88000, 96000)))
    assert 0.02 * call < echo < 0.7 * call
    assert rest < 0.5 * echo


@pytest.mark.parametrize("block", [64, 256])
def test_a_throw_comes_round_in_time_whatever_the_block(loaded, block):
    audio = np.zeros((2, 2 * RATE), np.float32)
    audio[:, 5000:5032] = 0.5
    commands = [SetParam("send", "gain", 1.0), SetParam("send", "gain", 0.0, when=Sample(12000))]
    out = np.abs(played(loaded, "throw", audio, commands, block)[0])
    # the band-pass rounds an echo off: its middle is found, not its first sample
    centres = [np.average(np.arange(a, a + 12000), weights=out[a : a + 12000] ** 2) for a in (25000, 49000, 73000)]
    np.testing.assert_allclose(np.diff(centres), 24000, atol=60)


def test_on_a_fresh_install_bed_plays_the_loops_that_ship(tmp_path, capsys):
    out = tmp_path / "out.wav"
    Command(None, render).call(patch="bed", out=str(out), seconds=5.0, tail=0.0)
    assert capsys.readouterr().err == ""
    heard, _ = sound.read(out)
    assert -30 <= sound.level(heard) <= -12
    assert len(sound.attacks(heard)) >= 6


def test_a_vocal_chain_evens_out_a_voice_and_puts_it_into_a_room(loaded):
    """A soft phrase and one 20 dB louder, of a tone over rumble: the difference is less, and a room remains."""
    t = np.arange(4 * RATE) / RATE
    rumble = 0.05 * np.sin(2 * np.pi * 30.0 * t)
    voice = sum(np.sin(2 * np.pi * f * t) for f in (400.0, 1200.0, 3500.0)) * 0.02 * (t % 2.0 < 1.0)
    audio = (rumble + voice * np.where(t < 2.0, 1.0, 10.0)).astype(np.float32)
    out = played(loaded, "vocal", np.stack([audio, audio]))
    soft, loud, room = (
        sound.level(out[:, round(a * RATE) : round(b * RATE)]) for a, b in ((0.5, 1), (2.5, 3), (3.1, 3.4))
    )
    assert 5.0 < loud - soft < 14.0
    assert 10.0 < loud - room < 40.0
    spectrum = np.abs(np.fft.rfft(out[0, : 2 * RATE]))
    # it came in 14 dB above the tone in the mean, and is now 12 dB below it
    assert spectrum[round(30.0 * 2)] < 0.25 * spectrum[round(400.0 * 2)]


def test_dub_echoes_are_on_the_clock(loaded):
    """Three quarters of a beat at 90 bpm are 24,000 frames; the echo is to the left first, then to the right."""
    audio = np.zeros((2, 2 * RATE), np.float32)
    audio[:, 1000:1040] = 0.3
    out = played(loaded, "dub", audio, [SetParam("reverb", "wet", 0.0), SetParam("echo", "flutter", 0.0)])
    places = [np.argmax(np.abs(out[side, a : a + 20000])) + a for side, a in ((0, 15000), (1, 39000))]
    np.testing.assert_allclose(np.diff([1000, *places]), 24000, atol=160)


def test_what_a_macro_is_named_for_reaches_the_scenes(loaded):
    for path in sorted(resources.patches().glob("*.toml")):
        patch = load(path, loaded.catalog, trusted=True)
        first = {macro.targets[0].key: macro.targets[0] for macro in patch.graph.macros}
        for scene in patch.scenes.values():
            for place, value in scene.items():
                # backwards is a scene's: on its way there a macro would pass a speed of 0, which is silent
                if (target := first.get(place)) and not place.endswith(".speed"):
                    assert min(target.low, target.high) <= value <= max(target.low, target.high), place


@pytest.mark.parametrize("name", ["pads", "chop"])
def test_no_speed_on_the_way_is_silent(loaded, name):
    patch = load(resources.patches() / f"{name}.toml", loaded.catalog, trusted=True)
    (speed,) = (t for macro in patch.graph.macros for t in macro.targets if macro.name == "speed")
    assert min(speed.low, speed.high) > 0.0
