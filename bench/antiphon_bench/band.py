"""The levels of the band: every style by every synth that is here, measured in what the commands write.

Live players render a patch from a keyboard's notes, its parts also on channels of their own; `file` is the MIDI file
of `antiphon run accompany` by `antiphon run soundfont`, its parts each alone.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import mido
import numpy as np
import soundfile
import tomli_w
from numpy.typing import NDArray

from antiphon.api.backends.analysis import LoudnessMeter
from antiphon.api.backends.files import MidiNote, MidiTrack, built_in_folder, write_midi
from antiphon.api.backends.rendering import load_plugins
from antiphon.api.backends.signal import FLAT_NAMES
from antiphon_bench.rig import finish, table

Sounds: TypeAlias = dict[str, NDArray[np.float32]]
PARTS = ("solo", "piano", "guitar", "bass", "drums", "pad")
LIVE = {"pyo": ("bandstand", "pyo"), "supercollider": ("bandstand", "supercollider"), "kit": ("kitband", "null")}
LIVE |= {"soundfont": ("bandstand", "soundfont")}
PLAYERS = (*LIVE, "file")
BARS, TEMPO = 12, 112
DEGREES = ((0, 4, 7), (2, 5, 9), (4, 7, 11), (5, 9, 12), (7, 11, 14), (9, 12, 16))
WANTED = "wanted: -18 ± 1.5 LUFS, true peak ≤ -1, correlation ≥ 0, parts ≥ -30 LUFS, drums ≥ -8 LU of the whole"


def main(seed: int, limit: int, styles: str = "", players: str = "") -> None:
    """Runs the bench: `limit` tunes a style, 0 for one; `styles` and `players` with commas between, "" for all."""
    param = next(p for p in load_plugins(check=False).catalog["accompany"].params if p.name == "style")
    names = styles.split(",") if styles else [name for name in param.choices if name != "auto"]
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for tune in range(limit or 1):
            drawn = np.random.default_rng((seed, tune)).spawn(len(names))
            tunes = {name: Tune(name, rng) for name, rng in zip(names, drawn, strict=True)}
            for player in players.split(",") if players else PLAYERS:
                found = by_file(folder, tunes) if player == "file" else by_patch(folder, tunes, player)
                for style, sounds in found:
                    rows.append({"style": style, "player": player, "tune": tune, **levels(sounds)})
                    print(rows[-1], file=sys.stderr, flush=True)
    table(
        f"{limit or 1} tunes of {BARS} bars, seed {seed}; {WANTED}",
        ("style", "player", "LUFS", "true peak", "correlation", "drums LU", "quietest", "loudest"),
        [
            (r["style"], r["player"], r["lufs"], r["peak"], r["correlation"], r["drums"], *_ends(r["parts"]))
            for r in rows
        ],
    )
    for player in dict.fromkeys(r["player"] for r in rows):
        own = [r for r in rows if r["player"] == player]
        print(f"{player}: {sum(map(holds, own))} of {len(own)} as wanted")
    finish("band", {"seed": seed, "n": len(rows), "hold": sum(map(holds, rows)), "rows": rows})


def holds(row: dict[str, Any]) -> bool:
    """Whether a row meets the limits of `WANTED`."""
    level, peak, correlation = abs(row["lufs"] + 18.0) <= 1.5, row["peak"] <= -1.0, row["correlation"] >= 0.0
    return bool(level and peak and correlation and row["drums"] >= -8.0 and min(row["parts"].values()) >= -30.0)


def _ends(parts: dict[str, float]) -> tuple[str, str]:
    order = sorted(parts, key=lambda part: parts[part])
    return f"{order[0]} {parts[order[0]]:.1f}", f"{order[-1]} {parts[order[-1]]:.1f}"


class Tune:
    """What is played to a style: triads below middle C, a melody above, and the chords' names."""

    def __init__(self, style: str, rng: np.random.Generator) -> None:
        self.meter = meter = 3 if style == "waltz" else 4
        tonic = int(rng.integers(12))
        self.left, self.right = list[MidiNote](), list[MidiNote]()
        names = []
        for bar in range(BARS):
            degree = DEGREES[0 if bar % 4 == 0 else int(rng.integers(6))]
            pitches = [48 + (tonic + step) % 12 for step in degree]
            self.left += [MidiNote(bar * meter, meter - 0.1, pitch, 0.65) for pitch in pitches]
            minor = (degree[1] - degree[0]) == 3
            names.append(FLAT_NAMES[(tonic + degree[0]) % 12] + "m" * minor)
            at = 0.0
            while at < meter:
                length = min(float(rng.choice((0.5, 0.5, 1.0, 1.0, 2.0))), meter - at)
                pitch = 72 + (tonic + int(rng.choice(degree))) % 12
                self.right.append(MidiNote(bar * meter + at, 0.9 * length, pitch, 0.65 + 0.1 * (at == 0)))
                at += length
        self.chords = "| " + " | ".join(names) + " |"


def by_patch(folder: Path, tunes: Mapping[str, Tune], player: str) -> Iterator[tuple[str, Sounds]]:
    """Each style, and its audio: the mix (key "") and each part. One render by a patch plays all, one after another."""
    patch, synth = LIVE[player]
    text = tomllib.loads((built_in_folder("patches") / f"{patch}.toml").read_text("utf-8"))
    ends = {"piano": "left", "guitar": "right"}
    for n, part in enumerate(PARTS):
        node, out = ends.get(part, part), f"out.{2 * n + 3}-{2 * n + 4}"
        text["wires"][node] = [text["wires"][node], out]
    notes, events, begins = list[MidiNote](), [], [0]
    for style, tune in tunes.items():
        at = begins[-1]
        notes += [replace(note, start=note.start + at) for note in (*tune.left, *tune.right)]
        settings = {"style": style, "meter": tune.meter}
        events += [{"beat": at, "address": f"/node/band/{name}", "args": [value]} for name, value in settings.items()]
        begins.append(at + BARS * tune.meter)
    write_midi(folder / "keys.mid", [MidiTrack("keys", tuple(sorted(notes, key=lambda n: n.start)), 0)], TEMPO)
    (folder / "patch.toml").write_text(tomli_w.dumps(text), "utf-8")
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, events)), "utf-8")
    given = ("--in", folder / "keys.mid", "--events", folder / "events.jsonl", "--synth", synth)
    _antiphon("render", folder / "patch.toml", *given, "--out", folder / "x.wav")
    x, rate = soundfile.read(folder / "x.wav", dtype="float32", always_2d=True)
    for style, (beat, end) in zip(tunes, pairwise(begins), strict=True):
        part = x[round(beat * 60 / TEMPO * rate) : round(end * 60 / TEMPO * rate)].T
        yield style, {name: part[2 * n : 2 * n + 2] for n, name in enumerate(("", *PARTS))}


def by_file(folder: Path, tunes: Mapping[str, Tune]) -> Iterator[tuple[str, Sounds]]:
    """Each style, and its audio as of `by_patch`, rendered from MIDI files by a soundfont."""
    for style, tune in tunes.items():
        write_midi(folder / "melody.mid", [MidiTrack("solo", tuple(tune.right), 0)], TEMPO)
        made = ("-p", f"style={style}", "-p", "parts=all", "-p", f"meter={tune.meter}", "--chords", tune.chords)
        _antiphon("run", "accompany", folder / "melody.mid", folder / "band.mid", *made)
        for part in ("", *PARTS):
            file = mido.MidiFile(folder / "band.mid")
            for track in file.tracks:
                if part and track.name not in (part, ""):
                    track[:] = [m.copy(velocity=0) if m.type == "note_on" else m for m in track]
            file.save(folder / f"{style} {part}.mid")
    files = [folder / f"{style} {part}.mid" for style in tunes for part in ("", *PARTS)]
    _antiphon("run", "soundfont", *files, "--out-dir", folder)
    for style in tunes:
        names = {part: folder / f"{style} {part}.wav" for part in ("", *PARTS)}
        yield style, {n: soundfile.read(f, dtype="float32", always_2d=True)[0].T for n, f in names.items()}


def _antiphon(*arguments: object) -> None:
    words = [sys.executable, "-m", "antiphon", *map(str, arguments), "--force"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)


def levels(sounds: Sounds, rate: int = 48000) -> dict[str, Any]:
    """Loudness of the mix and of its audible parts, true peak in dBFS, correlation of left and right."""
    lufs = {name: loudness(x, rate) for name, x in sounds.items()}
    whole = sounds[""]
    peak = max(true_peak(side) for side in whole)
    sides = float((whole[0] * whole[1]).sum() / max(1e-12, np.sqrt((whole[0] ** 2).sum() * (whole[1] ** 2).sum())))
    parts = {name: round(value, 2) for name, value in lufs.items() if name and value > -69.0}
    drums = lufs["drums"] - lufs[""] if "drums" in parts else 0.0
    return {
        "lufs": lufs[""],
        "peak": 20.0 * np.log10(max(1e-9, peak)),
        "correlation": sides,
        "drums": drums,
        "parts": parts,
    }


def true_peak(side: NDArray[np.float32]) -> float:
    """True peak, estimated by 4x oversampling."""
    pieces = np.array_split(side, max(1, len(side) // 65536))
    return max(float(np.abs(np.fft.irfft(np.fft.rfft(piece), 4 * len(piece))).max()) * 4.0 for piece in pieces)


def loudness(sound: NDArray[np.float32], rate: int) -> float:
    return LoudnessMeter.of(sound, rate)
