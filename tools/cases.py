"""Tries public trouble of other projects again: runs a table of commands over a folder of inputs, and measures.

python tools/cases.py FOLDER [NAME …]     the rows of cases.toml, or those whose names begin so; exits 1 if one is wrong

A row's `run` is a shell script in an empty folder; `$CASES` is FOLDER, `$MADE` a folder that the rows share. Each other
key names a measure, with a file that `run` wrote and the right values, or lists of these; `says`: texts that it prints;
`exit`: its status, 0 if not given; `needs`: programs, and inputs below FOLDER, without which the row is left out.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mido
import numpy as np
import soundfile
import soxr

TABLE = Path(__file__).with_suffix(".toml")
BIN = Path(sys.executable).parent
RATE = 48000
LONGEST = 300.0
"""Maximum seconds of a row."""


def sound_of(file: Path) -> np.ndarray[Any, Any]:
    """Sound of a file by ffmpeg, [frames, channels] at `RATE`, from time stamp 0 on; a gap in them is silence."""
    stamps = f"aresample={RATE}:async=1:first_pts=0"
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.wav"
        way = ["-map", "0:a:0", "-af", stamps, "-c:a", "pcm_f32le", str(plain)]
        subprocess.run(
            ["ffmpeg", "-v", "error", "-copyts", "-i", str(file), *way], check=True, stderr=subprocess.DEVNULL
        )
        sound: np.ndarray[Any, Any] = soundfile.read(plain, always_2d=True)[0]
        return sound


def seconds(file: Path, right: float) -> str:
    """The length, within 10 ms."""
    info = soundfile.info(str(file))
    return "" if abs(info.duration - right) <= 0.01 else f"{info.duration:.3f} s"


def apart(file: Path, *right: float) -> str:
    """The seconds between the onsets after 100 ms below -20 dBFS, within 5 ms."""
    loud = np.flatnonzero(np.abs(sound_of(file)).max(axis=1) > 0.1)
    found = loud[np.diff(loud, prepend=-RATE) > RATE // 10] / RATE
    same = len(found) == len(right) + 1 and np.abs(np.diff(found) - right).max() <= 0.005
    return "" if same else f"onsets at {[round(float(at), 3) for at in found]} s"


def pitches(file: Path, *right: float) -> str:
    """The strongest frequency in each second, in Hz, within 1 %; 0 is silence."""
    sound, found = sound_of(file)[:, 0], []
    for at in range(len(right)):
        part = sound[round((at + 0.1) * RATE) : round((at + 0.5) * RATE)]
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 17))
        found.append(float(spectrum.argmax() * RATE / (1 << 17)) if np.abs(part).max(initial=0.0) > 1e-3 else 0.0)
    same = all(abs(f - r) <= 0.01 * r for f, r in zip(found, right, strict=True))
    return "" if same else f"pitches {[round(f, 1) for f in found]} Hz"


def level_of(file: Path, first: float, last: float) -> float:
    """The level between two times, in dBFS (RMS)."""
    part = sound_of(file)[round(first * RATE) : round(last * RATE)]
    return 10.0 * float(np.log10(np.mean(np.square(part)) + 1e-15))


def quieter(file: Path, first: float, last: float, level: float) -> str:
    """The level between two times, at most this many dBFS (RMS)."""
    return "" if (found := level_of(file, first, last)) <= level else f"{found:.1f} dBFS"


def louder(file: Path, first: float, last: float, level: float) -> str:
    """The level between two times, at least this many dBFS (RMS)."""
    return "" if (found := level_of(file, first, last)) >= level else f"{found:.1f} dBFS"


def true_peak(file: Path, most: float) -> str:
    """The peak of the sound at eight times the rate, at most this many dBFS."""
    found = 20.0 * float(np.log10(np.abs(soxr.resample(sound_of(file), RATE, 8 * RATE, "VHQ")).max() + 1e-12))
    return "" if found <= most else f"{found:.2f} dBTP"


def beats(file: Path, *right: float) -> str:
    """The beginnings of the notes of a MIDI file, in beats, within .01."""
    song, found = mido.MidiFile(file), list[float]()
    for track in song.tracks:
        at = 0
        for message in track:
            at += message.time
            if message.type == "note_on" and message.velocity:
                found.append(at / song.ticks_per_beat)
    found.sort()
    same = len(found) == len(right) and all(abs(f - r) <= 0.01 for f, r in zip(found, right, strict=True))
    return "" if same else f"notes at {[round(at, 3) for at in found]}"


def holds(file: Path, *right: str) -> str:
    """Texts that a file contains, in this order."""
    text, at = unicodedata.normalize("NFC", file.read_text("utf-8", "replace")), 0
    for part in right:
        at = text.find(part, at)
        if at < 0:
            return f"no {part!r}"
        at += len(part)
    return ""


MEASURES: dict[str, Callable[..., str]] = {
    each.__name__: each for each in (seconds, apart, pitches, quieter, louder, true_peak, beats, holds)
}


def rows_of(folder: Path) -> Iterator[tuple[str, dict[str, Any], Path]]:
    """Yields each row's name, the row, and where its inputs lie: in FOLDER, or below it by the name of its round."""
    for part, rows in tomllib.loads(TABLE.read_text()).items():
        for name, row in rows.items():
            yield name, row, folder / part if (folder / part).is_dir() else folder


def lacking(row: dict[str, Any], cases: Path) -> str:
    """The first program or input that a row needs and that is not here."""
    inputs = re.findall(r'\$CASES/([^\s"]+)', row["run"])
    missing = [name for name in row.get("needs", []) if shutil.which(name) is None]
    return next(iter([*missing, *(name for name in inputs if not (cases / name).exists())]), "")


def judge(row: dict[str, Any], environment: dict[str, str]) -> Iterator[str]:
    """Runs a row; yields what is wrong."""
    with tempfile.TemporaryDirectory(prefix="case-") as folder:
        environment = {**environment, "ANTIPHON_HOME": f"{folder}/home"}
        (place := Path(folder) / "work").mkdir()
        try:
            done = subprocess.run(
                ["bash", "-ec", row["run"]], cwd=place, env=environment, timeout=LONGEST, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            yield f"not done in {LONGEST:.0f} s"
            return
        said = done.stdout.strip()
        if done.returncode != row.get("exit", 0):
            yield f"exit {done.returncode}: {said.splitlines()[-1] if said else ''}"
            return
        yield from (f"it does not say {text!r}" for text in row.get("says", []) if text not in said)
        for name in MEASURES.keys() & row.keys():
            for given in row[name] if isinstance(row[name][0], list) else [row[name]]:
                file, *right = given
                try:
                    found = MEASURES[name](place / file, *right)
                except (OSError, ValueError, subprocess.CalledProcessError, soundfile.SoundFileError) as error:
                    found = f"it cannot be measured: {error}"
                if found:
                    yield f"{file}: {found}; right: {' '.join(map(str, right))}"


def main() -> None:
    if len(sys.argv) < 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("cases: name the folder of the inputs: make cases ARGS=FOLDER")
    folder, names = Path(sys.argv[1]).resolve(), sys.argv[2:]
    right = wrong = left = 0
    with tempfile.TemporaryDirectory(prefix="cases-") as made:
        path = f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        for name, row, cases in rows_of(folder):
            if names and not name.startswith(tuple(names)):
                continue
            environment = {**os.environ, "PATH": path, "CASES": str(cases), "MADE": made}
            if here := lacking(row, cases):
                left += 1
                print(f"{'left out':9}{name}: {here} is not here", flush=True)
                continue
            faults = list(judge(row, environment))
            right, wrong = right + (not faults), wrong + bool(faults)
            print(f"{'wrong' if faults else 'right':9}{name}{''.join(f'; {fault}' for fault in faults)}", flush=True)
    print(f"{right} right, {wrong} wrong, {left} left out")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
