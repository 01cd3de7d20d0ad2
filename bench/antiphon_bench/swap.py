"""`bench swap`: loads playing patches a thousand times, and searches the recording for clicks."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_bench.rig import ServerProcess, finish, percentiles, table

RATE = 48000
TONE, LEVEL = 110.0, 0.25
PATCHES = ("through", "voice", "throw", "demo", "bench8")
FADE = 0.02
SAVES = 50
CLICK = 2e-3
"""Second difference of the samples above which they are a click. The tone has 5e-5; a step of 0.004 exceeds it."""
PLANTED = 200
_PATCH = """format = 1
[nodes.a]
type = "gain"
gain = {gain:.2f}
[wires]
"in" = "a"
"a" = "out"
"""

Sound = NDArray[np.float32]


def main(swaps: int, seed: int) -> None:
    """Runs the bench. swaps: number of loads by name, at random times. seed: of the times."""
    loads = loading(swaps, seed)
    saves = measure_patch_saving()
    table(
        f"{swaps} loads of {len(PATCHES)} patches in turn under a {TONE:g} Hz tone, headless at 256, "
        f"{FADE * 1e3:g} ms of fade, recorded",
        ("swaps", "seconds", "blocks", "missed", "late", "clicks", "largest 2nd difference", "planted found"),
        [(loads["swaps"], loads["seconds"], loads["blocks"], loads["missed"], loads["late_blocks"], loads["clicks"],
          loads["largest"], f"{loads['found']} of {PLANTED}")],
    )  # fmt: skip
    table(
        f"{SAVES} times a patch's file saved while it plays: until it plays, and until it is heard in full, ms",
        ("", "p50", "p99", "max"),
        [(name, *saves[name].values()) for name in ("told_ms", "heard_ms")],
    )
    finish("swap", {"seed": seed, "loads": loads, "saves": saves})


def loading(swaps: int, seed: int) -> dict[str, Any]:
    """Sends `/patch/load` at random moments, and searches the recording for clicks."""
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.wav"
        options = ["--audio", "headless", "--block", "256", "--patch", PATCHES[0]]
        with ServerProcess(*options, "--input", str(_tone(Path(folder))), "--record", str(out)) as server:
            time.sleep(0.5)
            before, begun, start = server.status(), time.monotonic(), _frame(server)
            for n in range(swaps):
                server.send("/patch/load", PATCHES[(n + 1) % len(PATCHES)], FADE)
                server.sync(n + 1)
                time.sleep(float(random.uniform(0.05, 0.6)))  # longer than the echoes of these patches
            spent, end, after = time.monotonic() - begun, _frame(server), server.status()
        sound = _recorded(out)[:, start:end]  # of the blocks that both states count, and of no others
    jumps = second_difference(sound)
    planted, places = _plant_clicks(sound, random)
    detected = sum(bool(second_difference(planted[:, at - 4 : at + 5]).max() > CLICK) for at in places)
    return {
        "swaps": swaps,
        "seconds": spent,
        "blocks": after["blocks"] - before["blocks"],
        "missed": after["missed_blocks"] - before["missed_blocks"],
        "late_blocks": after["late_blocks"] - before["late_blocks"],
        "clicks": clicks(jumps),
        "largest": float(jumps.max()),
        "found": detected,
        "recorded_seconds": sound.shape[1] / RATE,
    }


def measure_patch_saving() -> dict[str, Any]:
    """Rewrites a patch's file; measures the time to `/patch/loaded`, and in the recording to the new level."""
    loaded_ms: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "saved.toml", Path(folder) / "out.wav"
        file.write_text(_PATCH.format(gain=0.5))
        options = ["--audio", "headless", "--block", "256", "--patch", str(file)]
        saved: list[int] = []
        with ServerProcess(*options, "--input", str(_tone(Path(folder))), "--record", str(out)) as server:
            time.sleep(0.5)
            for n in range(SAVES):
                level = 0.5 + 0.5 * ((n + 1) % 2)
                begun = time.monotonic()
                saved.append(_frame(server))
                file.write_text(_PATCH.format(gain=level))
                while server.ask("/node/a/gain")[1] != [level]:
                    time.sleep(0.001)
                server.sync(n + 1)
                loaded_ms.append((time.monotonic() - begun) * 1e3)
                time.sleep(0.3)  # longer than the part of the recording that `_full_level_ms` reads
        sound = _recorded(out)
    return {"n": SAVES, "told_ms": percentiles(loaded_ms), "heard_ms": percentiles(_full_level_ms(sound, saved))}


def second_difference(sound: Sound) -> Sound:
    """Maximum absolute second difference over channels: float32 `[frames - 2]`."""
    return np.asarray(np.abs(np.diff(sound, 2, axis=1)).max(axis=0))


def clicks(jumps: Sound) -> int:
    """Number of frames, at least 10 ms apart, at which the second difference exceeds `CLICK`."""
    at = np.flatnonzero(jumps > CLICK)
    return int(len(at) and 1 + np.count_nonzero(np.diff(at) > RATE // 100))


def _plant_clicks(sound: Sound, random: np.random.Generator) -> tuple[Sound, list[int]]:
    """Adds steps of 0.004, at least 84 ms apart, to a recording, to test the detector; returns their frames too."""
    planted = sound.copy()
    places = sorted(int(at) for at in random.integers(RATE, sound.shape[1] - RATE, PLANTED))
    for turn, at in enumerate(places):
        planted[:, at:] += 0.004 if turn % 2 else -0.004
    return planted, places


def _full_level_ms(sound: Sound, saved: list[int]) -> list[float]:
    """Milliseconds from each save (frames of the recording) until the level is constant."""
    size = RATE // round(TONE)
    hop = size // 8
    envelope = np.lib.stride_tricks.sliding_window_view(np.abs(sound[0]), size)[::hop].max(axis=1)
    times = []
    for at in saved:
        window = envelope[at // hop : (at + RATE * 3 // 10) // hop]
        if len(window) < 8:
            continue
        end = window[-1]
        off = np.flatnonzero(np.abs(window - end) > 0.02 * end)
        times.append((float(off[-1]) + 1 if len(off) else 0.0) * hop / RATE * 1e3)
    return times


def _frame(server: ServerProcess) -> int:
    """Current frame of the recording."""
    return round(float(server.ask("/ping")[1][-1]) * RATE)


def _tone(folder: Path) -> Path:
    """Writes a second of a tone that loops without a discontinuity; returns its path."""
    import soundfile

    path = folder / "tone.wav"
    t = np.arange(RATE) / RATE
    tone = (LEVEL * np.sin(2 * np.pi * TONE * t)).astype(np.float32)
    soundfile.write(path, np.stack([tone, tone], 1), RATE, "FLOAT")
    return path


def _recorded(path: Path) -> Sound:
    import soundfile

    sound, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(sound.T)
