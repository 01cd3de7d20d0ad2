"""The sets of patches/live: rendered, measured, compared with accepted figures, drawn; writes docs/gallery.md.

    .venv/bin/python tools/live_sets.py                 # renders all and says which have changed
    .venv/bin/python tools/live_sets.py dub trio        # these
    .venv/bin/python tools/live_sets.py --accept dub    # takes these as they are now: figures, pictures, page
    .venv/bin/python tools/live_sets.py --text          # the page alone, after a set's description has changed
    .venv/bin/python tools/live_sets.py --drawn         # what the gallery of the room Code draws, then make page

The figures are in docs/live-sets/figures.json. A test renders some bars of each set (`PARTS`), and one marked `real`
the whole of it, and compares them by `changes`.
"""

import ast
import hashlib
import json
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "server"), *map(str, ROOT.glob("plugins/*"))]

from tests.audio import attacks  # noqa: E402
from tools.patch_pages import spectrogram, write_part  # noqa: E402
from tools.performances import LEVEL, RATE, SPEC, Rendered  # noqa: E402

from antiphon.kernel.graph import patch as patches  # noqa: E402
from antiphon.kernel.graph.patch import Patch  # noqa: E402
from antiphon.kernel.plugins.loader import Loaded  # noqa: E402
from antiphon.kernel.runtime import resources  # noqa: E402
from antiphon.kernel.session.notes import Players  # noqa: E402
from antiphon.live.records import LiveEvent  # noqa: E402
from antiphon.offline.rendering import PlayerRunner, param_finder  # noqa: E402
from antiphon.offline.runner import process_stream  # noqa: E402
from antiphon.offline.script_run import ScriptProcess, commands, frames_of  # noqa: E402
from antiphon.signal.loudness import LoudnessMeter  # noqa: E402

SETS = resources.patches() / "live"
FOLDER = ROOT / "docs" / "live-sets"
FIGURES = FOLDER / "figures.json"
PARTS: Mapping[str, tuple[int, int]] = {
    "bells": (8, 10),
    "breaks": (26, 30),
    "build": (17, 20),
    "drone": (8, 10),
    "dub": (5, 7),
    "euclid": (17, 20),
    "just": (8, 10),
    "phase": (20, 24),
    "shards": (8, 10),
    "song": (7, 10),
    "trio": (11, 15),
    "unmix": (10, 13),
}
"""Bars from and to of the fast test, some 6 s: where most of a set's instruments play."""
SUNG = {"round"}
"""Sets with a voice: rendered by plugins/antiphon-companion/antiphon_sing/tests/test_sing.py."""
SPREAD = 1.5
"""Tolerance in LU of a set's loudness around `LEVEL`."""
BANDS, SEGMENTS = 24, 16
"""Cells of a fingerprint: bands of equal width in octaves, and equal parts of the time."""
LOWEST, HIGHEST = 40.0, 16000.0
"""Hz."""
FLOOR = 60.0
"""Floor of a fingerprint in dB below its loudest cell."""
MEAN, MOST = 1.0, 6.0
"""Tolerances in dB of fingerprint cells, mean and maximum: library versions differ by tenths, a missing or doubled
track by several."""

COLUMNS, TRACKS = 48, 8
"""Parts of a set that the page draws, and maximum tracks."""
DRAWN = ROOT / "page" / "src" / "code" / "drawn.json"

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Performed:
    """Events of a set.

    Attributes:
        bar: Beats of a bar.
    """

    name: str
    patch: Patch
    bar: Fraction
    bars: int
    events: Sequence[LiveEvent]
    source: Path

    @property
    def tracks(self) -> set[str]:
        """Names of the tracks and loops that play a note."""
        return {event.source for event in self.events if is_note(event)}


@dataclass(frozen=True, slots=True)
class Sounding:
    """Measured figures of a sound.

    Attributes:
        lufs: Integrated loudness (ITU-R BS.1770-4).
        peak: True peak, dBFS.
        width: Level of the difference of both sides against that of their sum, dB.
        cells: Its fingerprint: for each segment the levels of its bands, in whole dB.
    """

    lufs: float
    peak: float
    attacks: int
    width: float
    cells: Sequence[Sequence[int]]

    def plain(self) -> dict[str, Any]:
        """As data for JSON: a segment's levels are one text, so that a difference of two versions has short lines."""
        return {**asdict(self), "cells": [" ".join(map(str, row)) for row in self.cells]}


@dataclass(frozen=True, slots=True)
class Figures:
    """Stored figures of a set.

    Attributes:
        part: The bars of `PARTS`.
    """

    digest: str
    seconds: float
    whole: Sounding
    part: Sounding


def is_note(event: LiveEvent) -> bool:
    """Whether an event begins a note."""
    return event.address.endswith(("/note/on", "/play"))


def names() -> list[str]:
    """Names of the shipped sets."""
    return sorted(path.stem for path in SETS.glob("*.py") if path.stem not in SUNG)


def description(name: str) -> tuple[str, int]:
    """Description of a set without its command, and the number of bars in that command."""
    said = ast.get_docstring(ast.parse((SETS / f"{name}.py").read_text(encoding="utf-8"))) or ""
    command = re.search(rf"antiphon render patches/live/{name}\.py --bars (\d+) --out {name}\.wav", said)
    if command is None:
        raise SystemExit(f"{name}: its docstring says how it is rendered")
    return " ".join((said[: command.start()] + said[command.end() :]).split()), int(command[1])


def perform(name: str, loaded: Loaded) -> Performed:
    """Performs a shipped set completely."""
    path, bars = SETS / f"{name}.py", description(name)[1]
    with ScriptProcess(str(path)) as script:
        beside = SETS / script.header.patch
        source = beside if beside.is_file() else resources.patches() / f"{script.header.patch}.toml"
        patch = patches.load(source, loaded.catalog, trusted=True)
        events = script.play(script.header.bar * bars, patch.tempo)
        return Performed(name, patch, script.header.bar, bars, events, source)


def excerpt(performed: Performed, first: int, last: int) -> list[LiveEvent]:
    """Events of some bars, moved to the beginning, with the values valid at their start."""
    low, high = first * performed.bar, last * performed.bar
    settings: dict[str, LiveEvent] = {}
    part: list[LiveEvent] = []
    for event in performed.events:
        if low <= event.beat < high:
            part.append(LiveEvent(event.beat - low, event.address, event.args, event.source, event.line))
        elif event.beat < low and not is_note(event) and not event.address.startswith("/note"):
            settings[event.address] = LiveEvent(Fraction(0), event.address, event.args[:1], event.source, event.line)
    return [*settings.values(), *part]


def render(performed: Performed, loaded: Loaded, bars: tuple[int, int] | None = None) -> F32:
    """Renders a set, or some bars of it, by the live code.

    Returns:
        Float32 `[2, frames]` at `RATE`, without what sounds on after the end.

    Raises:
        SystemExit: A node failed, or notes were lost.
    """
    first, last = bars or (0, performed.bars)
    events = excerpt(performed, first, last)
    graph, tempo = performed.patch.graph, performed.patch.tempo
    played = commands(events, performed.name, RATE, param_finder(graph, loaded.catalog), Players(graph, loaded.catalog))
    frames = frames_of(events, (last - first) * performed.bar, RATE, tempo)
    runner = PlayerRunner(graph, loaded.catalog, loaded.make, SPEC, tempo, played)
    try:
        parts = [part.copy() for part in process_stream((), runner, frames)]
        lost = [f"{node}.{param.name} is {n}" for node, param, n in runner.counts()]
    finally:
        runner.close()
    if runner.failures or runner.dropped or lost:
        raise SystemExit(f"{performed.name}: {runner.failures} {runner.dropped} {lost}")
    return np.concatenate(parts, axis=1)


def measure(sound: F32) -> Sounding:
    """The figures of a sound."""
    from antiphon_loops.analysis.levels import true_peak

    peak = 20.0 * float(np.log10(max(true_peak(sound, RATE), 1e-9)))
    return Sounding(
        round(LoudnessMeter.of(sound, RATE), 1),
        round(peak, 1),
        len(attacks(sound)),
        round(width(sound), 1),
        fingerprint(sound),
    )


def width(sound: F32) -> float:
    """Level of side relative to mid, dB: 0 for uncorrelated channels, low for equal ones."""
    left, right = sound.astype(np.float64)
    return float(10.0 * np.log10((np.square(left - right).sum() + 1e-12) / (np.square(left + right).sum() + 1e-12)))


def fingerprint(sound: F32) -> list[list[int]]:
    """Levels of `BANDS` bands in each of `SEGMENTS` equal parts of a sound, whole dB; 0 is a full-scale sine."""
    size = 4096
    window = np.hanning(size)
    edges = np.geomspace(LOWEST, HIGHEST, BANDS + 1) * size / RATE
    low = np.round(edges[:-1]).astype(int)
    high = np.maximum(low + 1, np.round(edges[1:]).astype(int))
    rows: list[list[int]] = []
    for part in np.array_split(sound.astype(np.float64), SEGMENTS, axis=1):
        starts = range(0, part.shape[1] - size + 1, size // 2)
        power = np.zeros(size // 2 + 1)
        for start in starts:
            power += (np.abs(np.fft.rfft(part[:, start : start + size] * window, axis=1)) ** 2).mean(axis=0)
        # a full-scale sine's power in its bins, by Parseval
        power /= len(starts) * size * np.square(window).sum() / 4.0
        rows.append([round(10.0 * np.log10(power[a:b].sum() + 1e-12)) for a, b in zip(low, high, strict=True)])
    return rows


def changes(before: Sounding, after: Sounding) -> list[str]:
    """Figures of a sound that changed beyond their tolerance; none for one that sounds the same."""
    said: list[str] = []
    if abs(before.lufs - after.lufs) > 0.5:
        said.append(f"loudness {before.lufs:g} to {after.lufs:g} LUFS")
    if abs(before.width - after.width) > 1.0:
        said.append(f"width {before.width:g} to {after.width:g} dB")
    if abs(before.attacks - after.attacks) > max(2.0, 0.1 * before.attacks):
        said.append(f"attacks {before.attacks} to {after.attacks}")
    first, second = np.array(before.cells, float), np.array(after.cells, float)
    least = max(first.max(), second.max()) - FLOOR
    apart = np.abs(np.maximum(first, least) - np.maximum(second, least))
    if apart.mean() > MEAN or apart.max() > MOST:
        segment, band = np.unravel_index(int(apart.argmax()), apart.shape)
        middle = LOWEST * (HIGHEST / LOWEST) ** ((int(band) + 0.5) / BANDS)
        said.append(
            f"fingerprint {apart.mean():.1f} dB on average, {apart.max():.0f} dB in segment {segment} of {SEGMENTS} at"
            f" {middle:.0f} Hz"
        )
    return said


def digest(performed: Performed) -> str:
    """Prefix of the SHA-256 of a set's events and of its patch without comments."""
    whole = tomllib.loads(performed.source.read_text(encoding="utf-8"))
    patch = {key: whole[key] for key in ("tempo", "nodes", "wires") if key in whole}
    # the last digits of a sine are those of the machine's library
    played = [
        [str(event.beat), event.address, *(f"{one:.5g}" if isinstance(one, float) else str(one) for one in event.args)]
        for event in performed.events
    ]
    return hashlib.sha256(json.dumps([patch, played], sort_keys=True).encode()).hexdigest()[:16]


def accepted_figures() -> dict[str, Figures]:
    """Last accepted figures, by set name."""
    if not FIGURES.is_file():
        return {}
    found = json.loads(FIGURES.read_text(encoding="utf-8"))
    return {
        name: Figures(one["digest"], one["seconds"], _sounding(one["whole"]), _sounding(one["part"]))
        for name, one in found.items()
    }


def _sounding(plain: dict[str, Any]) -> Sounding:
    cells = [[int(level) for level in row.split()] for row in plain["cells"]]
    return Sounding(plain["lufs"], plain["peak"], plain["attacks"], plain["width"], cells)


def picture(performed: Performed, sound: F32) -> bytes:
    """Spectrogram of a set as a PNG, with a line every eight bars."""
    lines = {bar: round(sound.shape[1] * bar / performed.bars) for bar in range(8, performed.bars, 8)}
    return spectrogram(Rendered(sound, lines, sound.shape[1]))


HEAD = """## Live sets

The sets of [patches/live](../patches/live), each about a minute: open one in an editor and change it;
[live-coding.md](live-coding.md) explains every word. `.venv/bin/python tools/live_sets.py --accept` renders them
within {spread:g} LU of {level:g} LUFS. A dotted line is eight bars, width the level of the difference of both sides
against that of their sum. Tests compare each with a fingerprint of {bands} bands in {segments} parts: a cell may differ
by {most:g} dB, all of them by {mean:g} dB on average.
"""


def page(figures: Mapping[str, Figures]) -> str:
    """Live sets' part of docs/gallery.md."""
    lines = [HEAD.format(spread=SPREAD, level=LEVEL, bands=BANDS, segments=SEGMENTS, most=MOST, mean=MEAN)]
    for name in names():
        said, bars = description(name)
        lines += [f"### {name}\n", f"{said}\n"]
        found = figures.get(name)
        if found is not None:
            whole = found.whole
            lines.append(f"![spectrogram of {name}](live-sets/{name}.png)\n")
            lines.append(
                f"{bars} bars, {found.seconds:.0f} s; {whole.lufs:.1f} LUFS, true peak {whole.peak:.1f} dBFS, width"
                f" {whole.width:.1f} dB, {whole.attacks / found.seconds:.1f} attacks a second."
                f" `antiphon render patches/live/{name}.py --bars {bars} --out {name}.wav`\n"
            )
    return "\n".join(lines)


def keep(figures: Mapping[str, Figures]) -> None:
    """Writes the figures and the page; figures of removed sets are dropped."""
    data = {
        name: {
            "digest": found.digest,
            "seconds": round(found.seconds, 2),
            "whole": found.whole.plain(),
            "part": found.part.plain(),
        }
        for name, found in sorted(figures.items())
        if name in names()
    }
    FIGURES.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    write_part(page(figures), 1)


def drawn(performed: Performed) -> list[str]:
    """A line for each of the tracks with the most notes: how many they play in each part of the set, 0 to 9."""
    length = float(performed.bar * performed.bars)
    counts: dict[str, list[int]] = {}
    for event in filter(is_note, performed.events):
        counts.setdefault(event.source, [0] * COLUMNS)[min(COLUMNS - 1, int(COLUMNS * float(event.beat) / length))] += 1
    most = sorted(counts.values(), key=sum)[-TRACKS:]
    rows = [row for row in counts.values() if row in most]
    return ["".join(str(-(-9 * one // max(row))) for one in row) for row in rows]


def main(words: Sequence[str]) -> int:
    """Renders the named sets, or all; compares or accepts them. Returns the number of changed ones."""
    from antiphon.kernel.plugins.loader import load

    accept, text = "--accept" in words, "--text" in words
    chosen = [word for word in words if not word.startswith("--")] or names()
    if unknown := set(chosen) - set(names()):
        raise SystemExit(f"there is no set {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    loaded, figures, changed = load(check=False), accepted_figures(), 0
    if "--drawn" in words:
        DRAWN.write_text(json.dumps({name: drawn(perform(name, loaded)) for name in names()}, indent=1) + "\n")
        return 0
    for name in [] if text else chosen:
        performed = perform(name, loaded)
        sound = render(performed, loaded)
        whole, part = measure(sound), measure(render(performed, loaded, PARTS[name]))
        found = Figures(digest(performed), sound.shape[1] / RATE, whole, part)
        before = figures.get(name)
        said = changes(before.whole, whole) + changes(before.part, part) if before is not None else ["it is new"]
        changed += bool(said)
        print(f"{name}: {'; '.join(said) or 'as it was'} ({whole.lufs:g} LUFS, peak {whole.peak:g} dBFS)")
        if accept:
            FOLDER.mkdir(exist_ok=True)
            (FOLDER / f"{name}.png").write_bytes(picture(performed, sound))
            figures[name] = found
            keep(figures)
    if text:
        keep(figures)
    if changed and not accept:
        print("what has changed on purpose is kept by .venv/bin/python tools/live_sets.py --accept NAME")
    return 0 if accept else changed


if __name__ == "__main__":
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as home:
        # no library and no patches of one's own
        os.environ["ANTIPHON_HOME"] = home
        sys.exit(min(1, main(sys.argv[1:])))
