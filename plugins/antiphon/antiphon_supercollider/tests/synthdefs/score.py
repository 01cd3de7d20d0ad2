"""Scores for `scsynth -N`: messages at their seconds, the sound that comes of them, and what is measured of it."""

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from antiphon.api.backends import transports as osc

FOLDER = Path(__file__).resolve().parents[5] / "supercollider"
COMPILED = FOLDER / "compiled"
RATE = 48000
CLOCK = 30
"""First audio bus of the clock in these scores."""
INPUT = 2
"""First bus of what comes in: after the two of what goes out."""
PLAYERS = ("piano", "electric_piano", "bass", "pad", "pluck", "strings", "organ")
DRUMS = ("kick", "snare", "hat", "cymbal", "clap", "tom", "rim", "bell", "shaker")
Samples = NDArray[np.float32]
Line = tuple[float, list[osc.Arg]]

scsynth = shutil.which("scsynth")
needs_scsynth = pytest.mark.skipif(scsynth is None, reason="needs scsynth: apt-get install supercollider-server")


def new(name: str, at: float = 0.0, node: int = 1000, *, head: bool = False, **controls: float) -> Line:
    """A `/s_new` at `at` seconds, at the tail (or the head) of the group of everything."""
    return at, ["/s_new", f"antiphon_{name}", node, 0 if head else 1, 0, *_flat(controls)]


def change(at: float, node: int = 1000, **controls: float) -> Line:
    """An `/n_set`."""
    return at, ["/n_set", node, *_flat(controls)]


def clock(first: int = 0) -> Line:
    """The clock, before everything else, beginning at a frame."""
    low, high = first % (1 << 24), first >> 24
    return new("clock", 0.0, 999, head=True, out=CLOCK, first=low, first_high=high)


def frame(**moments: int) -> dict[str, float]:
    """The controls for moments (start, stop, cut) at frames of the clock."""
    found: dict[str, float] = {"clock": CLOCK}
    for name, at in moments.items():
        found |= {name: at % (1 << 24), f"{name}_high": at >> 24}
    return found


def _flat(controls: Mapping[str, float]) -> list[osc.Arg]:
    return [item for key, value in controls.items() for item in (key, float(value))]


def render(
    score: Sequence[Line],
    seconds: float,
    *,
    sound: Samples | None = None,
    buffers: Mapping[int, Samples] | None = None,
    rate: int = RATE,
) -> Samples:
    """`[2, frames]` of a score. Fails where scsynth says that something failed.

    sound: `[2, frames]` that comes in at the bus `INPUT`.  buffers: `[channels, frames]` by number.
    """
    assert scsynth is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = sorted({str(message[1]) for _, message in score if message[0] == "/s_new"})
        lines: list[Line] = [(0.0, ["/d_recv", (COMPILED / f"{each}.scsyndef").read_bytes()]) for each in names]
        for number, x in (buffers or {}).items():
            soundfile.write(folder / f"{number}.wav", x.T, rate, subtype="FLOAT")
            lines.append((0.0, ["/b_allocRead", number, str(folder / f"{number}.wav")]))
        lines += sorted(score, key=lambda line: line[0])
        lines.append((seconds, ["/c_set", 0, 0.0]))
        source = "_"
        if sound is not None:
            source = str(folder / "in.wav")
            soundfile.write(source, sound.T, rate, subtype="FLOAT")
        out = folder / "out.wav"
        _write(folder / "score.osc", lines)
        done = subprocess.run(
            [scsynth, "-N", str(folder / "score.osc"), source, str(out), str(rate), "WAV", "float",
             "-o", "2", "-i", "2", "-m", "131072", "-V", "-1", "-D", "0", "-R", "0"],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        files = {path.name: path.stat().st_size for path in folder.iterdir()}
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{files}"
        assert "FAILURE" not in done.stdout, done.stdout
        x, _ = soundfile.read(out, dtype="float32", always_2d=True)
    return np.ascontiguousarray(x[: round(seconds * rate)].T)


def _write(path: Path, lines: Sequence[Line]) -> None:
    with path.open("wb") as file:
        for at, (address, *args) in sorted(lines, key=lambda line: line[0]):
            bundle = osc.encode_bundle(round(at * 2**32), [osc.encode(str(address), *args)])
            file.write(struct.pack(">i", len(bundle)) + bundle)


def notes(
    name: str, given: Sequence[Mapping[str, float]], *, hold: float, gap: float, lead: int = 480
) -> list[Samples]:
    """The sounds of notes played one after another by the clock, `hold` seconds each and `gap` seconds apart.

    Each has `lead` frames of what was before it.
    """
    every, length = round((hold + gap) * RATE), round(hold * RATE)
    score = [clock()]
    for n, controls in enumerate(given):
        start = lead + n * every
        at = max(0.0, (start - 4800) / RATE)
        score.append(new(name, at, 1000 + n, **frame(start=start, stop=start + length), **controls))
    x = render(score, (lead + len(given) * every) / RATE)
    return [x[:, n * every : (n + 1) * every + lead] for n in range(len(given))]


def heard(x: Samples) -> tuple[int, int]:
    """First and last frame that is not 0; (-1, -1) for silence."""
    found = np.flatnonzero(np.abs(x).max(axis=0))
    return (int(found[0]), int(found[-1])) if len(found) else (-1, -1)


def differs(x: Samples, y: Samples) -> int:
    """First frame at which two sounds differ; -1 for none."""
    size = min(x.shape[1], y.shape[1])
    found = np.flatnonzero(np.abs(x[:, :size] - y[:, :size]).max(axis=0))
    return int(found[0]) if len(found) else -1


def db(value: float) -> float:
    return float(20 * np.log10(max(value, 1e-12)))


def hertz(note: float) -> float:
    return float(440.0 * 2.0 ** ((note - 69) / 12))


def pitch(x: Samples, near: float) -> float:
    """Cents by which the strongest partial within a quarter tone of `near` Hz is above it."""
    y = x.astype(np.float64).mean(axis=0)
    size = 1 << int(np.ceil(np.log2(len(y) * 4)))
    level = np.abs(np.fft.rfft(y * np.hanning(len(y)), size))
    low, high = int(near * 0.97 * size / RATE), int(near * 1.03 * size / RATE) + 2
    k = low + int(np.argmax(level[low:high]))
    a, b, c = np.log(level[k - 1 : k + 2] + 1e-30)
    hz = (k + 0.5 * (a - c) / (a - 2 * b + c)) * RATE / size
    return float(1200 * np.log2(hz / near))
