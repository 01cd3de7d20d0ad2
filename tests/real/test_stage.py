"""A set of three acts by the software clock, played by a script and measured: a keyboard and its band, a hum that is
answered, a guitar in the microphone that leads the band.

ANTIPHON_PERFORMANCE=600 plays ten minutes; without it one.
"""

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from tests.patches.performances import RATE, TUNE
from tests.patches.test_led_band import strummed

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.graph.patch import find, load
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.session.commands import Command, Play, Sample, SetParam, SetTransport
from antiphon.offline.player import FilePlayer
from antiphon.signal.loudness import LoudnessMeter
from antiphon.signal.pitch import frequency

pytestmark = pytest.mark.real
SECONDS = float(os.environ.get("ANTIPHON_PERFORMANCE", "60")) / 3.0
STYLES = ("swing", "bossa", "funk", "rock", "ballad", "house", "reggae", "pop")
LEFT = ((48, 55), (45,), (41, 48, 52), (43, 47, 50, 53))
"""Two keys, one, and whole chords, a bar each."""
SPEC = StreamSpec(RATE, 2048, 2)
KEPT = ("format", "name", "tempo", "nodes", "wires")
QUIET = 10.0 ** (-60.0 / 20.0)


def bandstand(bar: float) -> tuple[Samples, list[Command]]:
    """A left hand of chords, roots and fifths, a tune above, a style every eight bars, a fill before the next."""
    commands: list[Command] = []
    for number in range(int(SECONDS / bar)):
        at = number * bar
        if number % 8 == 0:
            commands.append(SetParam("band", "style", STYLES[number // 8 % len(STYLES)], when=Sample(round(at * RATE))))
        held = [(at, key, 0.97 * bar, 80) for key in LEFT[number % len(LEFT)]]
        tune = [(at + n.at / 3.0 * bar, n.note, n.lasts / 3.0 * bar, n.velocity) for n in TUNE if number % 4 != 3]
        for start, key, lasts, velocity in held + tune:
            commands.append(Play("", Event("on", 0, key, velocity / 127.0), Sample(round(start * RATE))))
            commands.append(Play("", Event("off", 0, key), Sample(round((start + lasts) * RATE))))
    commands.sort(key=lambda command: command.when.n)  # type: ignore[union-attr]
    return np.zeros((2, round(SECONDS * RATE)), np.float32), commands


def trade(bar: float) -> tuple[Samples, list[Command]]:
    """A hum of four bars in eight."""
    sound = np.zeros(round(SECONDS * RATE))
    rng = np.random.default_rng(7)
    for number in range(int(SECONDS / bar)):
        if number % 8 >= 4:
            continue
        for place in (0.0, 1.0, 1.5, 2.0, 3.0):
            t = np.arange(round((0.4 if place in (1.0, 1.5) else 0.85) * bar / 4.0 * RATE)) / RATE
            hertz = frequency(int(rng.choice((57, 59, 60, 62, 64, 67, 69))))
            tone = sum(np.sin(2.0 * np.pi * k * hertz * t) / k**1.5 for k in range(1, 9))
            tone *= 0.15 * np.minimum(1.0, np.minimum(t, t[-1] - t) / 0.03)
            at = round((number + place / 4.0) * bar * RATE)
            sound[at : at + len(tone)] += tone[: len(sound) - at]
    return np.tile(sound.astype(np.float32), (2, 1)), []


def led(bar: float) -> tuple[Samples, list[Command]]:
    """A guitar's chords."""
    chords = [sound for _, sound in strummed(int(SECONDS / 2.4) + 1)]
    return np.tile(np.concatenate(chords)[: round(SECONDS * RATE)], (2, 1)), []


ACTS = {"bandstand": bandstand, "trade": trade, "led": led}


def patch_of(act: str, folder: Path) -> Path:
    """Patches that ship, by the kit's sampler, which no machine lacks; in `led` a `hum` stands before the band."""
    kit = tomllib.loads(find("kitband").read_text("utf-8"))
    text = kit if act != "trade" else tomllib.loads(find("trade").read_text("utf-8"))
    if act == "trade":
        for name in ("keys", "reply"):
            text["nodes"][name] = kit["nodes"]["piano"] | {"level": text["nodes"][name]["level"]}
    if act == "led":
        text["tempo"] = 100
        text["nodes"]["hum"] = {"type": "hum", "mode": "chords"}
        text["nodes"]["band"] |= {"split": 127, "style": "bossa"}
        text["wires"] |= {"in": ["hum", text["wires"]["solo"]], "hum.notes": "band"}
        del text["nodes"]["solo"], text["wires"]["solo"]
    (folder / f"{act}.toml").write_text(tomli_w.dumps({name: text[name] for name in KEPT if name in text}), "utf-8")
    return folder / f"{act}.toml"


def bars_of(sound: Samples, bar: float) -> Iterator[float]:
    """The loudest sample of each whole bar."""
    step = round(bar * RATE)
    for at in range(0, sound.shape[1] - step + 1, step):
        yield float(np.abs(sound[:, at : at + step]).max())


@pytest.mark.timeout(600 + 20 * 3 * SECONDS)
@pytest.mark.parametrize("act", ACTS)
def test_an_act_sounds_throughout_at_the_level_of_a_set(act: str, loaded: Loaded, tmp_path: Path) -> None:
    played = load(patch_of(act, tmp_path), loaded.catalog, trusted=True)
    bar = 240.0 / played.tempo
    given, commands = ACTS[act](bar)
    begun = (SetTransport(True), *commands)
    player = FilePlayer(played.graph, loaded.catalog, loaded.make, SPEC, played.tempo, begun)
    sound = player.sound([given])
    minutes = [LoudnessMeter.of(sound[:, at : at + 60 * RATE], RATE) for at in range(0, sound.shape[1], 60 * RATE)]
    loud = np.abs(sound).max(axis=0) > QUIET
    gaps = np.diff(np.flatnonzero(loud)) / RATE
    found = {
        "LUFS by minute": [round(level, 1) for level in minutes],
        "silent bars": sum(level < QUIET for level in bars_of(sound, bar)),
        "clipped": int((np.abs(sound) >= 1.0).sum()),
        "longest gap, s": round(float(gaps.max()), 2),
    }
    print(act, json.dumps(found))
    assert player.failures == []
    assert np.isfinite(sound).all()
    assert found["clipped"] == 0
    assert found["silent bars"] == 0
    assert all(abs(level + 18.0) < 4.0 for level in minutes), found
