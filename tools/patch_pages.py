"""Writes the patches of docs/gallery.md and their pictures: each shipped patch played, measured and drawn.

    .venv/bin/python tools/patch_pages.py            # all
    .venv/bin/python tools/patch_pages.py wah amp    # these; the figures of the others stay
    .venv/bin/python tools/patch_pages.py --text     # none: the text alone, after a new line

The figures are in docs/patches/figures.json, each with a digest of the patch: a test renders the same
performances (tools/performances.py) and compares.
"""

import hashlib
import json
import struct
import sys
import tomllib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "server"), *map(str, ROOT.glob("plugins/*"))]

from tests.audio import attacks  # noqa: E402
from tools.performances import PERFORMANCES, RATE, Rendered, render  # noqa: E402

from antiphon.files.png import png_file  # noqa: E402
from antiphon.kernel.graph.patch_list import TOOLS, PatchEntry, entries  # noqa: E402
from antiphon.kernel.runtime import resources  # noqa: E402
from antiphon.signal.loudness import LoudnessMeter  # noqa: E402

FOLDER = ROOT / "docs" / "patches"
PAGE = ROOT / "docs" / "gallery.md"
SETS = "## Live sets\n"
"""Start of the page's other part, written by `live_sets.py`."""
FIGURES = FOLDER / "figures.json"
WIDTH, HEIGHT = 480, 140
"""Width and height of a picture in pixels."""
LOWEST, HIGHEST = 40.0, 16000.0
"""Frequency range of a picture in Hz."""
FLOOR = -60.0
"""Lowest level drawn, in dB below the loudest cell."""
TONES = 16
"""Number of colours of a picture: 4 bits a pixel."""

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Figures:
    """Measured figures of a patch.

    Attributes:
        lufs: Integrated loudness (ITU-R BS.1770-4) before the first scene.
        peak: Largest true peak of the whole performance, dBFS.
    """

    digest: str
    lufs: float
    peak: float
    attacks: int
    scenes: Mapping[str, float]

    def plain(self) -> dict[str, Any]:
        """JSON data of the figures."""
        return asdict(self)


def digest(name: str) -> str:
    """Prefix of the SHA-256 of a shipped patch's audible content, without hint and comments."""
    whole = tomllib.loads((resources.patches() / f"{name}.toml").read_text(encoding="utf-8"))
    sounding = {key: whole[key] for key in ("tempo", "nodes", "wires", "scenes") if key in whole}
    return hashlib.sha256(json.dumps(sounding, sort_keys=True).encode()).hexdigest()[:16]


def measure(name: str, rendered: Rendered) -> Figures:
    """Figures of a performance."""
    from antiphon_loops.analysis.levels import true_peak

    peak = 20.0 * float(np.log10(max(true_peak(rendered.sound, RATE), 1e-9)))
    scenes = {str(number): round(LoudnessMeter.of(rendered.scene(number), RATE), 1) for number in rendered.scenes}
    first = rendered.first()
    return Figures(digest(name), round(LoudnessMeter.of(first, RATE), 1), round(peak, 1), len(attacks(first)), scenes)


def spectrogram(rendered: Rendered) -> bytes:
    """A performance as a PNG: time to the right, logarithmic frequency upwards, a line where a scene begins."""
    size = 4096
    mono = np.pad(rendered.sound.mean(axis=0, dtype=np.float64), size // 2)
    starts = np.linspace(0, mono.size - size, WIDTH).astype(np.int64)
    window = np.hanning(size)
    power = np.stack([np.abs(np.fft.rfft(mono[at : at + size] * window)) ** 2 for at in starts], axis=1)
    edges = np.geomspace(LOWEST, HIGHEST, HEIGHT + 1) * size / RATE
    low = np.floor(edges[:-1]).astype(int)
    high = np.maximum(low + 1, np.ceil(edges[1:]).astype(int))
    rows = np.stack([power[a:b].mean(axis=0) for a, b in zip(low, high, strict=True)])[::-1]
    level = 10.0 * np.log10(rows / max(rows.max(), 1e-12) + 1e-12)
    cells = np.clip((level - FLOOR) / -FLOOR * (TONES - 2), 0, TONES - 2).round().astype(np.uint8)
    for at in (rendered.before, *rendered.scenes.values()):
        if at:
            cells[::2, min(WIDTH - 1, round(at / rendered.sound.shape[1] * WIDTH))] = TONES - 1
    return _png(cells)


def _png(cells: NDArray[np.uint8]) -> bytes:
    """An indexed PNG of 16 colours (PNG specification, ISO/IEC 15948): from white to dark blue, and red lines."""
    marks = np.array([0.0, 0.35, 0.7, 1.0])
    colours = np.array([(255, 255, 255), (250, 190, 90), (190, 40, 80), (30, 10, 70)], float)
    at = np.linspace(0.0, 1.0, TONES - 1)
    palette = np.stack([np.interp(at, marks, colours[:, c]) for c in range(3)], axis=1).round().astype(np.uint8)
    palette = np.vstack([palette, np.array([[40, 110, 200]], np.uint8)])
    packed = (cells[:, 0::2] << 4) | cells[:, 1::2]
    lines = b"".join(b"\x00" + row.tobytes() for row in packed)
    head = struct.pack(">IIBBBBB", cells.shape[1], cells.shape[0], 4, 3, 0, 0, 0)
    return png_file([(b"IHDR", head), (b"PLTE", palette.tobytes()), (b"IDAT", zlib.compress(lines, 9))])


def shipped_patches() -> list[PatchEntry]:
    """The listed shipped patches."""
    return [entry for entry in entries() if entry.listed and not entry.own]


def written_figures() -> dict[str, Figures]:
    """Last written figures, by patch name."""
    if not FIGURES.is_file():
        return {}
    return {name: Figures(**found) for name, found in json.loads(FIGURES.read_text(encoding="utf-8")).items()}


def page(listed: Sequence[PatchEntry], figures: Mapping[str, Figures]) -> str:
    """Text of docs/gallery.md up to its live sets."""
    levels = [figures[entry.name].lufs for entry in listed if entry.name in figures and entry.group != TOOLS]
    lines = [HEAD.format(count=len(levels), least=min(levels), most=max(levels))]
    groups = sorted({entry.group for entry in listed}, key=lambda group: (group == TOOLS, not group, group))
    contents = {group: [entry.name for entry in listed if entry.group == group] for group in groups}
    taken = {heading(group).lower() for group in groups}
    for group, names in contents.items():
        # of two equal headings, of which the group's stands first, the second's anchor is numbered
        links = [f"[{name}](#{name}{'-1' if name in taken else ''})" for name in names]
        lines.append(f"- {heading(group)}: {', '.join(links)}")
    lines.append("")
    for group in groups:
        lines.append(f"## {heading(group)}\n")
        for entry in (entry for entry in listed if entry.group == group):
            lines += section(entry, figures.get(entry.name))
    return "\n".join(lines)


def parts() -> tuple[str, str]:
    """Both parts of the existing page: patches, and live sets from their heading on."""
    before, _, after = PAGE.read_text(encoding="utf-8").partition(f"\n{SETS}")
    return before, SETS + after


def write_part(text: str, place: int) -> None:
    """Replaces one part of the page, 0 or 1."""
    written = [*parts()]
    written[place] = text
    PAGE.write_text("\n".join(written), encoding="utf-8")


def heading(group: str) -> str:
    """A group's heading."""
    return (group or "others").capitalize()


def section(entry: PatchEntry, found: Figures | None) -> list[str]:
    """Lines of one patch."""
    lines = [f"### {entry.name}\n", f"{entry.line}\n"]
    if found is not None:
        scenes = ", ".join(f"{lufs:.1f}" for lufs in found.scenes.values())
        lines.append(f"![spectrogram of {entry.name}](patches/{entry.name}.png)\n")
        lines.append(f"{found.lufs:.1f} LUFS{f' ({scenes})' if scenes else ''}, peak {found.peak:.1f} dBFS\n")
    return lines


HEAD = """# Gallery

What each patch that ships is for, and how it sounds; below them the [live sets](#live-sets). `antiphon patches NAME`
says what to do first with a patch, `antiphon serve --patch NAME` or `/patch/load NAME` plays it, `/scene/recall 2` its
second scene.

Generated by `.venv/bin/python tools/patch_pages.py`: a phrase as the patch begins and once more in each scene. Loudness
(of the scenes in brackets) is integrated after ITU-R BS.1770-4, the peak is the true peak. The {count} instruments
begin between {least:.1f} and {most:.1f} LUFS. Pictures have time to the right, 40 Hz to 16 kHz upwards, 60 dB from
white to dark; dotted lines are scenes.
"""


def main(names: Sequence[str]) -> None:
    """Plays, measures and draws the named patches, or all, and writes the page."""
    from antiphon.kernel.plugins.loader import load

    FOLDER.mkdir(exist_ok=True)
    loaded, listed = load(check=False), shipped_patches()
    figures = {name: found for name, found in written_figures().items() if name in PERFORMANCES}
    for name in [] if names == ["--text"] else names or sorted(PERFORMANCES):
        rendered = render(name, loaded)
        if rendered.failures:
            raise SystemExit(f"{name}: {rendered.failures}")
        figures[name] = measure(name, rendered)
        (FOLDER / f"{name}.png").write_bytes(spectrogram(rendered))
        print(f"{name}: {figures[name].plain()}")
    data = {name: figures[name].plain() for name in sorted(figures)}
    FIGURES.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    write_part(page(listed, figures), 0)


if __name__ == "__main__":
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as home:
        # no library and no patches of one's own
        os.environ["ANTIPHON_HOME"] = home
        main(sys.argv[1:])
