"""Draws the pictures of the effects' card: measured curves as SVG, into plugins/antiphon_effects/pictures.

    .venv/bin/python tools/effects_pictures.py

Every curve is measured by rendering through the processor that plays live.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "server"), str(ROOT / "plugins")]

from antiphon.api import StreamSpec  # noqa: E402
from antiphon.api.testing import run_processor  # noqa: E402
from antiphon_effects.compressor import Compressor  # noqa: E402
from antiphon_effects.drive import Drive  # noqa: E402
from antiphon_effects.eq import Eq  # noqa: E402
from antiphon_effects.flanger import Flanger  # noqa: E402
from antiphon_effects.phaser import Phaser  # noqa: E402
from antiphon_effects.reverb import Reverb  # noqa: E402

RATE = 48000
SPEC = StreamSpec(RATE, 256, 2)
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 560, 280, 52, 40, 28, 130
COLOURS = ("#1f5fa8", "#c2410c", "#2f7d32", "#7b2d8b")
Curve = tuple[str, NDArray[np.float64], NDArray[np.float64]]


def svg(
    title: str, across: str, up: str, curves: Sequence[Curve], x: Sequence[float], y: Sequence[float], *, log: bool
) -> str:
    """A picture of curves; x and y are the marks of the axes, whose ends are the axes' ends."""

    def place(value: float, marks: Sequence[float], low: float, high: float, logarithmic: bool) -> float:
        a, b, v = (np.log10([marks[0], marks[-1], value])) if logarithmic else (marks[0], marks[-1], value)
        return float(low + (v - a) / (b - a) * (high - low))

    def at_x(v: float) -> float:
        return place(v, x, LEFT, WIDTH - RIGHT, log)

    def at_y(v: float) -> float:
        return place(min(max(v, y[0]), y[-1]), y, HEIGHT - BOTTOM, TOP, False)

    said = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/><text x="{LEFT}" y="16" font-size="13">{title}</text>',
    ]
    for v in x:
        said.append(f'<path d="M{at_x(v):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        shown = f"{v / 1000:g}k" if log and v >= 1000 else f"{v:g}"
        said.append(f'<text x="{at_x(v):.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{shown}</text>')
    for v in y:
        said.append(f'<path d="M{LEFT} {at_y(v):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        said.append(f'<text x="{LEFT - 5}" y="{at_y(v) + 4:.1f}" text-anchor="end">{v:g}</text>')
    said.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{across}</text>')
    said.append(f'<text transform="translate(13 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{up}</text>')
    for n, (name, xs, ys) in enumerate(curves):
        colour = COLOURS[n % len(COLOURS)]
        path = " ".join(f"{at_x(a):.1f},{at_y(b):.1f}" for a, b in zip(xs, ys, strict=True))
        said.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        said.append(f'<text x="{WIDTH - RIGHT + 8}" y="{TOP + 14 + 15 * n}" fill="{colour}">{name}</text>')
    return "\n".join([*said, "</svg>", ""])


def impulse(seconds: float) -> NDArray[np.float32]:
    x = np.zeros((2, round(seconds * RATE)), np.float32)
    x[:, 0] = 1.0
    return x


def spectrum(y: NDArray[np.float32], hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain in dB at those frequencies of an impulse's answer."""
    n = np.arange(len(y))
    return np.array([20 * np.log10(abs(np.sum(y * np.exp(-2j * np.pi * f * n / RATE))) + 1e-9) for f in hertz])


def dynamics() -> str:
    levels = np.arange(-60.0, 0.1, 1.5)
    curves = []
    for name, settings in (
        ("ratio 2, knee 6", {"ratio": 2.0}),
        ("ratio 4, knee 12", {"knee": 12.0}),
        ("ratio 100, knee 0", {"ratio": 100.0, "knee": 0.0}),
    ):
        ends = [
            run_processor(Compressor(), SPEC, np.full((2, RATE // 4), 10 ** (v / 20), np.float32), settings)[0, -1]
            for v in levels
        ]
        curves.append((name, levels, 20 * np.log10(ends)))
    return svg(
        "compressor: static curve", "input, dB", "output, dB", curves, (-60, -40, -20, 0), (-60, -40, -20, 0), log=False
    )


def tone() -> str:
    hertz = np.geomspace(20, 20000, 160)
    curves = [
        (name, hertz, spectrum(run_processor(Eq(), SPEC, impulse(0.5), settings)[0], hertz))
        for name, settings in (
            ("peak +12, q 2", {"gain4": 12.0, "q4": 2.0}),
            ("shelves +6, -9", {"gain2": 6.0, "gain7": -9.0}),
            ("cuts 100, 8000", {"kind1": "lowcut", "freq1": 100.0, "kind8": "highcut", "freq8": 8000.0}),
            ("notch, q 4", {"kind5": "notch", "q5": 4.0}),
        )
    ]
    return svg("eq: gain", "Hz", "dB", curves, (20, 100, 1000, 10000, 20000), (-24, -12, 0, 12), log=True)


def space() -> str:
    curves = []
    for decay in (0.5, 1.0, 2.0, 4.0):
        y = run_processor(Reverb(), SPEC, impulse(4.0), {"decay": decay, "damping": 0.0})[0]
        left = np.cumsum(np.square(y[::-1], dtype=np.float64))[::-1]
        every = np.arange(0, len(y), 1200)
        curves.append((f"decay {decay:g} s", every / RATE, 10 * np.log10(left[every] / left[0] + 1e-12)))
    return svg("reverb: energy that is left", "s", "dB", curves, (0, 1, 2, 3, 4), (-60, -40, -20, 0), log=False)


def modulation() -> str:
    hertz = np.geomspace(50, 16000, 400)
    still = {"depth": 0.0, "feedback": 0.0}
    answers = (
        ("phaser, 4 stages", run_processor(Phaser(), SPEC, impulse(0.4), {**still, "stages": 4})),
        ("flanger, 1 ms", run_processor(Flanger(), SPEC, impulse(0.4), {**still, "delay": 0.001})),
    )
    curves = [(name, hertz, spectrum(y[0], hertz)) for name, y in answers]
    return svg(
        "standing phaser and flanger: gain", "Hz", "dB", curves, (50, 200, 1000, 4000, 16000), (-40, -20, 0), log=True
    )


def distortion() -> str:
    t = np.arange(2 * RATE) / RATE
    x = np.tile(np.sin(2 * np.pi * 4999.0 * t), (2, 1)).astype(np.float32)
    settings = {"curve": "hard", "drive": 24.0, "level": 0.0}
    curves = []
    bare = np.clip(x[0, -RATE:].astype(np.float64) * 10 ** (24 / 20), -1, 1)
    ours = run_processor(Drive(), SPEC, x, settings)[0, -RATE:].astype(np.float64)
    for name, y in (("not oversampled", bare), ("drive", ours)):
        power = 20 * np.log10(np.abs(np.fft.rfft(y)) / (RATE / 2) + 1e-9)
        tops = power[:20000].reshape(-1, 50).max(axis=1)
        curves.append((name, np.arange(len(tops)) * 50.0, tops))
    return svg(
        "drive, hard, 24 dB: spectrum of a sine of 4999 Hz",
        "Hz",
        "dB",
        curves,
        (0, 5000, 10000, 15000, 20000),
        (-140, -100, -60, -20, 0),
        log=False,
    )


def main() -> None:
    """Writes every picture."""
    folder = ROOT / "plugins" / "antiphon_effects" / "pictures"
    folder.mkdir(exist_ok=True)
    for draw in (dynamics, tone, space, modulation, distortion):
        (folder / f"{draw.__name__}.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
