"""How well `hum` hears: note F1 on singing and winds, false notes in what has none, and what it costs.

Onset within 50 ms, pitch within 50 cents, ends ignored: `mir_eval.transcription`. Songs, voices and the soundfont are
others than the constants were found on. Not comparable with figures on recorded singing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.block import StreamSpec
from antiphon_hum.material import RATE, ScoreNote, colours, items, real, speech
from antiphon_hum.notes import notes_of
from antiphon_hum.peers import PEERS, Found

F32 = NDArray[np.float32]
System = Callable[[F32, int], Found]
SONGS = 24
NOISES = ("rain", "sea_waves", "crackling_fire", "fire_crackling", "helicopter", "clock_tick", "chainsaw")


def ours(mode: str, live: bool = False) -> System:
    """The plugin at its defaults, as `antiphon run` has it do a file, or as it hears live."""

    def find(sound: F32, rate: int) -> Found:
        return [(n.start / rate, float(n.number)) for n in notes_of(sound, rate, {"mode": mode}, live)]

    return find


def f1(notes: Sequence[ScoreNote], found: Found) -> float:
    """Note F1, 0 to 1: onset 50 ms, pitch 50 cents, ends ignored."""
    import mir_eval  # type: ignore[import-untyped]

    if not found:
        return 0.0
    starts = np.array([[n.start, n.end] for n in notes])
    hertz = np.array([440.0 * 2 ** ((n.pitch - 69) / 12) for n in notes])
    heard = np.array([[at, at + 0.1] for at, _ in found])
    pitches = np.array([440.0 * 2 ** ((round(pitch) - 69) / 12) for _, pitch in found])
    scored = mir_eval.transcription.precision_recall_f1_overlap(
        starts, hertz, heard, pitches, onset_tolerance=0.05, pitch_tolerance=50.0, offset_ratio=None
    )
    return float(scored[2])


def silent_material(data: Path, seed: int, seconds: float, share: float = 1.0) -> Iterator[tuple[str, F32]]:
    """(kind, sound) without a note in it. Recorded noise is of folds the constants were not found on. share: part of
    the clips and sentences.
    """
    yield "silence", np.zeros(round(seconds * RATE), np.float32)
    for x in colours(seconds, seed):
        yield "noise", x
    for folder in sorted((data / "esc10").iterdir()) if (data / "esc10").is_dir() else ():
        if folder.name in NOISES:
            kind = "chainsaw" if folder.name == "chainsaw" else "recorded noise"
            for path in [p for p in sorted(folder.glob("*.ogg")) if p.name[0] in "34"][: max(1, round(6 * share))]:
                yield kind, real(path)
    for x in speech(True, max(2, round(28 * share)), 8):
        yield "made speech", x
    track = data / "tracks" / "speech_librispeech.ogg"
    if track.is_file():
        yield "recorded speech", real(track)


def evaluate(data: Path, seed: int = 1, limit: int = SONGS, peers: bool = True) -> dict[str, Any]:
    """Every system on the same held-out sounds. limit: songs, each sung and played, with as much less without notes.

    Gives, by system: n, mean F1 and standard error on "sing" and "wind"; false notes in 10 s of each kind of sound
    without notes; and what the streaming costs.
    """
    systems: dict[str, System] = {
        **(PEERS if peers else {}), "ours, yin": ours("yin"), "ours, pyin, live": ours("pyin", True),
        "ours, pyin": ours("pyin"),
    }  # fmt: skip
    scores: dict[str, dict[str, list[float]]] = {name: {"sing": [], "wind": []} for name in systems}
    for kind, item in items(data, True, limit, seed + 1):
        for name, system in systems.items():
            scores[name][kind].append(f1(item.notes, system(item.sound, RATE)))
    false: dict[str, dict[str, float]] = {name: {} for name in systems}
    length: dict[str, float] = {}
    for kind, sound in silent_material(data, seed, 20.0, min(1.0, limit / SONGS)):
        length[kind] = length.get(kind, 0.0) + len(sound) / RATE
        for name, system in systems.items():
            false[name][kind] = false[name].get(kind, 0.0) + len(system(sound, RATE))
    return {
        "seed": seed,
        "seconds": {kind: round(value, 1) for kind, value in length.items()},
        "systems": {
            name: {
                **{kind: _summary(values) for kind, values in scores[name].items()},
                "false": {kind: round(10.0 * count / length[kind], 2) for kind, count in false[name].items()},
            }
            for name in systems
        },
        "cost": {mode: cost(mode) for mode in ("yin", "pyin")},
    }


def _summary(values: list[float]) -> dict[str, float]:
    found = np.array(values)
    error = float(found.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else 0.0
    return {"n": len(found), "f1": round(float(found.mean()), 3) if len(found) else 0.0, "error": round(error, 3)}


def cost(mode: str, rate: int = 48000, block: int = 256, seconds: float = 20.0) -> dict[str, float]:
    """Latency declared and measured (ms), real-time factor, and a block's p50 and p99 as parts of its duration.

    Measured: from where tones begin to where their events are, the middle one of some twenty.
    """
    from antiphon.harness import prepare
    from antiphon.processor import IO, BlockTime
    from antiphon_hum.processor import Hum

    starts, sound = tones(rate, seconds)
    processor = Hum()
    cells = prepare(processor, StreamSpec(rate, block, 1), {"mode": mode})
    for cell in cells.values():
        cell.render(0, block)
    io = IO([], [], cells, BlockTime(), block)
    spent, begun = [], []
    for at in range(0, len(sound) - block, block):
        io.audio_in, io.events_out = [sound[None, at : at + block]], []
        before = time.perf_counter()
        processor.process(io)
        spent.append(time.perf_counter() - before)
        begun += [at + event.offset for event in io.events_out if event.kind == "on"]
    lags = [min(b - s for b in begun if b > s) for s in starts if any(b > s for b in begun)]
    period = block / rate
    return {
        "declared_ms": round(1000.0 * processor.latency / rate, 1),
        "measured_ms": round(1000.0 * float(np.median(lags)) / rate, 1) if lags else float("nan"),
        "real_time_factor": round(len(spent) * period / sum(spent), 1),
        "p50": round(float(np.percentile(spent, 50)) / period, 4),
        "p99": round(float(np.percentile(spent, 99)) / period, 4),
    }


def tones(rate: int, seconds: float) -> tuple[list[int], F32]:
    """Where tones of 0.6 s begin, each after 0.3 s of silence, and their sound."""
    sound = np.zeros(round(seconds * rate), np.float32)
    starts = list(range(rate // 2, len(sound) - rate, round(0.9 * rate)))
    t = np.arange(round(0.6 * rate)) / rate
    for n, start in enumerate(starts):
        hertz = 220.0 * 2 ** ((n * 5 % 24) / 12)
        wave = sum(np.sin(2 * np.pi * k * hertz * t) / k for k in range(1, 7))
        sound[start : start + len(t)] = 0.15 * wave * np.minimum(1.0, np.minimum(t, 0.6 - t) / 0.005)
    return starts, sound


def show(result: dict[str, Any]) -> str:
    """The tables, and as last line the whole result as JSON."""
    kinds = list(result["seconds"])
    lines = [f"{'note F1':<18}{'n':>4}{'singing':>9}{'± s.e.':>8}{'n':>5}{'wind':>7}{'± s.e.':>8}"]
    for name, row in result["systems"].items():
        sing, wind = row["sing"], row["wind"]
        lines.append(
            f"{name:<18}{sing['n']:>4}{sing['f1']:>9.3f}{sing['error']:>8.3f}{wind['n']:>5}{wind['f1']:>7.3f}{wind['error']:>8.3f}"
        )
    lines.append(f"{'false in 10 s':<18}" + "".join(f"{kind:>17}" for kind in kinds))
    lines.append(f"{'seconds':<18}" + "".join(f"{result['seconds'][kind]:>17.0f}" for kind in kinds))
    for name, row in result["systems"].items():
        lines.append(f"{name:<18}" + "".join(f"{row['false'][kind]:>17.2f}" for kind in kinds))
    for mode, row in result["cost"].items():
        lines.append(f"{mode}: " + ", ".join(f"{key} {value}" for key, value in row.items()))
    lines.append(json.dumps(result))
    return "\n".join(lines)


def fit(data: Path, mode: str, seed: int = 1, songs: int = SONGS) -> tuple[float, ...]:
    """The discriminant of `judge`: Fisher's, of sung notes found rightly against syllables of speech.

    Gives the weights of the logarithms and the constant, in `Discriminant`'s order.
    """
    sung, said = [], []
    for kind, item in items(data, False, songs, seed):
        if kind == "sing":
            for at, row in _looks(item.sound, mode):
                if any(abs(at - n.start) < 0.05 and abs(row[0] - n.pitch) < 0.6 for n in item.notes):
                    sung.append(row[1:])
    for sound in speech(False, 28, 8):
        said += [row[1:] for _, row in _looks(sound, mode)]
    one, two = np.array(sung), np.array(said)
    spread = (np.cov(one.T) * len(one) + np.cov(two.T) * len(two)) / (len(one) + len(two)) + 1e-3 * np.eye(4)
    weights = np.linalg.solve(spread, one.mean(axis=0) - two.mean(axis=0))
    return (*map(float, weights), float(-0.5 * np.dot(one.mean(axis=0) + two.mean(axis=0), weights)))


def _looks(sound: F32, mode: str) -> Iterable[tuple[float, list[float]]]:
    """(seconds, [pitch, logarithms]) of every candidate, admitted or not."""
    from antiphon_hum.intake import HOP, Intake
    from antiphon_hum.judge import LEAST, Look
    from antiphon_hum.tracker import CENTRE, Settings, Tracker

    seen: list[Look] = []
    intake = Intake(RATE)
    tracker = Tracker(mode, intake)
    tracker.judge.heard = lambda look, _said: seen.append(look)
    at, hops, found = 0, 0, []
    x = np.concatenate([sound, np.zeros(RATE // 3, np.float32)])[None]
    while at < x.shape[1]:
        at += intake.take(x, at, min(at + 4096, x.shape[1]))
        if intake.full:
            hops += 1
            tracker.step(Settings())
            intake.turn()
            for one in seen:
                if one.voiced >= LEAST:
                    logs = [
                        np.log(one.compass + 0.03),
                        np.log(one.glide + 0.5),
                        np.log(one.spread + 0.02),
                        np.log(one.voiced),
                    ]
                    found.append((((hops - tracker.lag) * HOP - CENTRE) / intake.rate, [one.pitch, *logs]))
            seen.clear()
    return found


def main(data: Path, seed: int = 1, limit: int = 0) -> dict[str, Any]:
    """Prints the tables. limit: songs at most, 0 for all 24; with librosa's trackers a song takes a minute."""
    result = evaluate(data, seed, limit or SONGS)
    print(show(result).rpartition("\n")[0])
    return result
