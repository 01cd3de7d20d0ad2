"""A guitar in the microphone leads the band: `hum` in its mode `chords`, `listen` and `accompany` in one patch."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tests.patches.performances import RATE, string

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.graph.patch import load
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.plugins.loader import Loaded
from antiphon.offline.player import FilePlayer

PATCH = """format = 1
name = "Led"
tempo = 100
[nodes.hum]
mode = "chords"
[nodes.listen]
[nodes.direct]
type = "accompany"
follow = "chords"
split = 127
style = "block"
[nodes.band]
type = "accompany"
follow = "listen"
style = "block"
[wires]
"in" = ["hum", "listen", "out"]
"hum.notes" = ["direct", "listen"]
"listen.notes" = "band"
"""
BEAT = 0.6
HAND = ((0, 48, 52, 55, 60, 64), (21, 45, 52, 57, 60, 64), (14, 50, 57, 62, 65), (7, 43, 47, 50, 55, 59, 67))
"""Chords of a guitar, four beats each: the triad's number, then its strings."""


def strummed(count: int) -> Iterator[tuple[int, np.ndarray]]:
    """Triad and sound of each chord, its strings 8 ms apart."""
    frames = round(4 * BEAT * RATE)
    for number in range(count):
        triad, *strings = HAND[number % len(HAND)]
        sound = np.zeros(frames)
        for n, note in enumerate(strings):
            at = round(0.008 * n * RATE)
            sound[at:] += string(note, 90, frames / RATE)[: frames - at]
        yield triad, (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def test_a_strummed_chord_is_the_bands_within_a_beat(loaded: Loaded, tmp_path: Path) -> None:
    (tmp_path / "led.toml").write_text(PATCH)
    patch = load(tmp_path / "led.toml", loaded.catalog, trusted=True)
    runner = FilePlayer(patch.graph, loaded.catalog, loaded.make, StreamSpec(RATE, 1024, 1), patch.tempo)
    cells = {
        (number, cell): name
        for number, name in runner._names.items()
        if name in ("listen", "direct", "band")
        for cell, param in enumerate(loaded.catalog["listen" if name == "listen" else "accompany"].cells)
        if param.name == "chord"
    }
    played = list(strummed(len(HAND)))
    heard: dict[str, dict[int, int]] = {name: {} for name in cells.values()}

    def hear(plan: Plan, _: Samples, __: Samples, sample: int) -> None:
        for number, cell, value in plan.reports():
            if name := cells.get((number, cell)):
                heard[name][sample] = int(value) - (name == "listen")

    runner.listener = hear
    sounds = [sound[None] for _, sound in played]
    assert np.isfinite(runner.sound(sounds)).all()
    assert heard.keys() == {"listen", "direct", "band"}
    for name, chords in heard.items():
        right = [
            [chord for at, chord in chords.items() if at <= (beat + 1) * BEAT * RATE][-1:] == [played[beat // 4][0]]
            for beat in range(4 * len(played) - 1)
        ]
        assert np.mean(right) >= 0.85, (name, chords)
