"""Builds the wheels of the workspace, and checks them in an empty environment: `antiphon` alone, then the others.

python tools/wheel_check.py          prints its steps; exits 1 with a sentence on any problem
"""

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import prebuilt
import soundfile

from antiphon.api.backends.files import read_midi

ROOT = Path(__file__).resolve().parents[1]
RATE = 48000
WANTED = {
    "antiphon": (
        "antiphon/__init__.py",
        "antiphon_utilities/__init__.py",
        "antiphon_supercollider/__init__.py",
        "antiphon_synth/__init__.py",
        "antiphon_synth/samples/NOTICE",
        "antiphon_synth/samples/index.json",
        "antiphon_synth/samples/piano.ogg",
        "antiphon_synth/samples/bass.ogg",
        "antiphon_synth/samples/drums.ogg",
        "antiphon/data/library/NOTICE",
        "antiphon/data/library/kit/bd/0.flac",
        "antiphon/data/library/loops/drums.flac",
        "antiphon/demo/NOTICE",
        "antiphon/web/page/assets/index.html",
        "antiphon/web/page/assets/app.js",
        "antiphon/web/page/assets/player.js",
        "antiphon/web/page/assets/worker.js",
        "antiphon/web/page/assets/icon-maskable-512.png",
        "antiphon/demo/band.flac",
        "antiphon/demo/hum.flac",
        "antiphon/demo/voice.ogg",
        "antiphon/data/patches/through.toml",
        "antiphon/data/patches/bench8.toml",
        "antiphon/data/patches/demo.toml",
        "antiphon/data/patches/worker.toml",
        "antiphon/data/patches/keys.toml",
        "antiphon/data/models/weights/manifest.toml",
    ),
    "antiphon-companion": (
        "antiphon_hum/learned/pitch_network.py",
        "antiphon/data/models/weights/hum-learned.safetensors",
    ),
    "antiphon-more": (
        "antiphon_model/__init__.py",
        "antiphon_pyo/__init__.py",
        "antiphon/data/models/weights/reference.safetensors",
        "antiphon/data/docs/osc.md",
    ),
    "antiphon-sound": (
        "antiphon_denoise/__init__.py",
        "antiphon_denoise/learned/mask_network.py",
        "antiphon/data/models/weights/denoise-gate.safetensors",
        "antiphon/data/models/weights/denoise-mask.safetensors",
    ),
}
"""Files of each wheel whose absence would only be noticed late."""
STRAY = ("antiphon_bench/", "antiphon_models/")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="antiphon-wheel-") as folder:
        place = Path(folder)
        pure, lab = build(ROOT, place / "antiphon"), build(ROOT / "models", place / "lab")
        others = [
            build(file.parent, place / file.parent.name) for file in sorted(ROOT.glob("plugins/*/pyproject.toml"))
        ]
        for wheel in (pure, *others):
            check_contents(wheel)
        base, extra = pure, "[kernels]"
        if prebuilt.here() in prebuilt.PLATFORMS and find_spec("ziglang"):
            (base,), extra = prebuilt.main(pure, prebuilt.here()), ""
        else:
            print(f"no wheel with machine code for {prebuilt.here()}, which needs ziglang: {pure.name}{extra} it is")
        installed = Environment(place / "env", base, extra)
        expect(bool(extra) or not installed.has("llvmlite"), "the wheel brings llvmlite, which is an extra")
        check_unity_gain(installed, place)
        check_core_alone(installed, place)
        for wheel in others:
            installed.add(wheel)
            installed.antiphon("patches", cwd=place)
        check_bench8(installed, place)
        check_numpy_networks(installed, place)
        installed.add(lab)
        check_model_commands(installed, place)
    print(
        f"{base.name}{extra}: installs into an empty environment and plays; so do {', '.join(w.name for w in others)}"
    )


def build(source: Path, into: Path) -> Path:
    run([sys.executable, "-m", "build", "--wheel", "--outdir", str(into), str(source)], "the wheel could not be built")
    return next(into.glob("*.whl"))


def check_contents(wheel: Path) -> None:
    names, wanted = set(zipfile.ZipFile(wheel).namelist()), WANTED[wheel.parent.name]
    for name in wanted:
        expect(name in names, f"{wheel.name} lacks {name}")
    others = {name for part, files in WANTED.items() if part != wheel.parent.name for name in files}
    stray = sorted(
        n for n in names if "/tests/" in n or n.startswith(STRAY) or not n.startswith("antiphon") or n in others
    )
    expect(not stray, f"{wheel.name} holds what stays in the checkout or in another wheel: {stray[:3]}")


class Environment:
    """A virtual environment with the wheel and its dependencies only."""

    def __init__(self, folder: Path, wheel: Path, extra: str) -> None:
        venv.create(folder, with_pip=True)
        self._bin, self._home = folder / "bin", folder / "home"
        self.add(wheel, extra)

    def add(self, wheel: Path, extra: str = "") -> None:
        """Installs a wheel with its dependencies, and those of an extra."""
        pip = [str(self._bin / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pip += ["--no-compile", f"{wheel}{extra}"]  # the little that is imported compiles as it is
        run(pip, f"{wheel.name} could not be installed")

    def has(self, module: str) -> bool:
        """Whether a module is installed."""
        find = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
        return subprocess.run([str(self._bin / "python"), "-I", "-c", find], check=False).returncode == 0

    def antiphon(self, *arguments: str, cwd: Path) -> str:
        """Standard output of a command, run without the checkout on its paths."""
        return run(self._command(arguments), f"antiphon {arguments[0]} failed", cwd=cwd, env=self._variables())

    def refusal(self, *arguments: str, cwd: Path) -> str:
        """Error output of a command that fails."""
        done = subprocess.run(
            self._command(arguments), cwd=cwd, env=self._variables(), capture_output=True, text=True, check=False
        )
        expect(done.returncode != 0, f"antiphon {arguments[0]} did not fail")
        return done.stderr

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [str(self._bin / "antiphon"), *arguments]

    def _variables(self) -> dict[str, str]:
        # what pip was told by its environment it may need, what Python was told it must not see
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return {**env, "ANTIPHON_HOME": str(self._home)}


def check_unity_gain(installed: Environment, place: Path) -> None:
    """Checks that `through` at gain 1 reproduces the file, up to a 24-bit step."""
    x = tone(1.0)
    soundfile.write(place / "x.wav", x, RATE, subtype="PCM_24")
    installed.antiphon("render", "through", "--in", "x.wav", "--out", "y.wav", "--fade", "0", cwd=place)
    y, rate = soundfile.read(place / "y.wav", dtype="float64", always_2d=True)
    expect((rate, y.shape) == (RATE, x.shape), f"through gave {y.shape} at {rate} Hz for {x.shape} at {RATE} Hz")
    worst = float(np.abs(y - x).max())
    expect(worst < 2.0**-22, f"through changed its input by {worst:g}")


def check_core_alone(installed: Environment, place: Path) -> None:
    """Checks that `antiphon` plays without the other distributions, and names the one that provides a missing part."""
    for patch in ("band", "dub", "tidal"):
        installed.antiphon("render", patch, "--in", "x.wav", "--out", f"{patch}.wav", cwd=place)
    installed.antiphon("run", "gain", "x.wav", "quiet.wav", "-p", "gain=0.5", cwd=place)
    listed = installed.antiphon("patches", cwd=place)
    expect(" band " in listed, "antiphon patches lists no band")
    expect(" garden " not in listed, "antiphon patches lists a patch whose nodes are not installed")
    said = installed.refusal("run", "hum", "x.wav", "x.mid", cwd=place)
    expect("hum is in antiphon-companion: pip install antiphon-companion" in said, f"for `run hum` it says: {said}")


def check_bench8(installed: Environment, place: Path) -> None:
    """Checks that `bench8`, with the denoiser, renders as in the checkout."""
    arguments = ("render", "bench8", "--in", "x.wav", "--out")
    installed.antiphon(*arguments, "installed.wav", cwd=place)
    run([sys.executable, "-m", "antiphon", *arguments, "checkout.wav"], "the checkout's antiphon failed", cwd=place)
    theirs, ours = (soundfile.read(place / f"{name}.wav", always_2d=True)[0] for name in ("installed", "checkout"))
    expect(theirs.shape == ours.shape, f"bench8 gave {theirs.shape} where the checkout gives {ours.shape}")
    worst = float(np.abs(theirs - ours).max())
    expect(worst < 1e-4, f"bench8 is off by {worst:g} from what the checkout gives")
    expect(float(np.abs(theirs).max()) > 0.01, "bench8 gave silence")


def check_numpy_networks(installed: Environment, place: Path) -> None:
    """Checks the networks without torch: `hum` finds hummed notes, and `denoise` removes noise below a tone."""
    expect(not installed.has("torch"), "the wheel brings torch, which is an extra")
    rng = np.random.default_rng(1)
    tune = (57, 60, 64, 62)
    hummed = [np.zeros(RATE // 2)]
    for number in tune:
        t = np.arange(RATE // 2) / RATE
        edges = np.minimum(1.0, np.minimum(t, t[::-1]) / 0.04)
        hertz = 440.0 * 2.0 ** ((number - 69) / 12)
        hummed.append(0.2 * edges * sum(np.sin(2 * np.pi * hertz * k * t) / k**1.5 for k in range(1, 12)))
        hummed.append(np.zeros(RATE // 10))
    soundfile.write(place / "hum.wav", np.concatenate([*hummed, np.zeros(RATE // 2)]), RATE, subtype="PCM_24")
    installed.antiphon("run", "hum", "hum.wav", "hum.mid", "-p", "mode=learned", cwd=place)
    found = tuple(note.number for track in read_midi(place / "hum.mid").tracks for note in track.notes)
    expect(found == tune, f"hum mode=learned found the notes {found} where {tune} were hummed")
    clean = 0.2 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)
    clean[: 2 * RATE] = 0.0
    noise = 0.01 * rng.standard_normal(len(clean))
    soundfile.write(place / "noisy.wav", clean + noise, RATE, subtype="PCM_24")
    installed.antiphon("run", "denoise", "noisy.wav", "clean.wav", "-p", "mode=learned", cwd=place)
    y, _ = soundfile.read(place / "clean.wav")
    pause, tone_part = slice(RATE, 2 * RATE - RATE // 4), slice(2 * RATE + RATE // 2, 3 * RATE - RATE // 4)
    down = 20 * np.log10(np.std(noise[pause]) / max(np.std(y[pause]), 1e-9))
    off = 20 * np.log10(np.std(y[tone_part]) / np.std(clean[tone_part]))
    expect(down > 10.0, f"denoise mode=learned takes {down:.1f} dB of noise away between sounds; 10 are asked for")
    expect(abs(off) < 1.0, f"denoise mode=learned changes a tone by {off:.1f} dB; 1 is allowed")


def check_model_commands(installed: Environment, place: Path) -> None:
    """Checks the commands of the models' plugin, and their lists of trainings and evaluations."""
    for command in ("train", "evaluate"):
        listed = installed.antiphon(command, "--list", cwd=place).split()
        expect({"denoise", "hum"} <= set(listed), f"antiphon {command} --list gave {listed}")


def tone(seconds: float) -> np.ndarray:
    """float64 `[frames, 2]`: two sines at -12 dBFS, one in each channel."""
    t = np.arange(round(seconds * RATE)) / RATE
    return 0.25 * np.stack([np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 660 * t)], axis=1)


def run(command: list[str], wrong: str, **given: object) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **given)  # type: ignore[call-overload]
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-4000:])
    expect(done.returncode == 0, f"{wrong} (exit {done.returncode})")
    return str(done.stdout)


def expect(true: bool, otherwise: str) -> None:
    if not true:
        sys.exit(f"wheel check: {otherwise}")


if __name__ == "__main__":
    main()
