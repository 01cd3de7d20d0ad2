"""`antiphon evaluate lockups`: a band follows its player, while the player's microphone picks up the band."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from antiphon.api import F32, F64, StreamSpec
from antiphon.api.backends.files import MidiTimes, read_midi
from antiphon.api.backends.rendering import Loaded, load_plugins, patch_runner
from antiphon.api.backends.runtime import require_modules
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue
from antiphon_models.material.sounds import of_length, songs
from antiphon_models.room.evaluation import (
    BENDS,
    DRIFTS,
    FLOOR,
    FONTS,
    RATE,
    Bend,
    bend_of,
    render_pianist,
    simulate_room_responses,
)

BLOCK = 960
"""Frames of a block, and of the delay from output to input."""
ALONE = 10.0
"""Seconds for which the band plays before the player begins."""
PLAYS, RESTS, STAYS, FASTER = 16, 16, 4, 24
"""Beats for which the player plays, rests, plays again, and plays in the new tempo."""
STEP = 1.15
INTRO = 16
"""Beats skipped at the start of a song."""
LOCKED = 8.0
"""Beats after which a clock that follows the band is locked up."""
BARS = 16.0
"""Beats within which a new tempo must be followed."""
NEAR = 0.05
LEVEL = 0.1
"""RMS of the player, and of the band in the microphone."""
STYLES = ("pop", "rock", "swing", "bossa", "funk")
ROOMS = 6
TAIL = 3 * RATE // 10
"""Frames of the room response that are used."""
PATCH = """format = 1
[nodes.follow]
drive = "beat"
waits = false
[nodes.band]
type = "accompany"
style = "{style}"
follow = "text"
chords = "| C | Am | F | G7 |"
parts = "piano,bass,drums"
[nodes.piano]
type = "synth"
instrument = "piano"
[nodes.bass]
type = "synth"
instrument = "bass"
[nodes.drums]
type = "synth"
instrument = "drums"
{cancels}
"band.piano" = "piano"
"band.bass" = "bass"
"band.drums" = "drums"
"piano" = "out"
"bass" = "out"
"drums" = "out"
"""
STRAIGHT = '[wires]\n"in" = "follow"'
CANCELLED = """[nodes.echo_cancel]
[wires]
"in" = "echo_cancel"
"out" = "echo_cancel.reference"
"echo_cancel" = "follow\""""


class LockUpEvaluation(Evaluation):
    """Measures pianists beside a band in simulated rooms: silence, a performance, a rest, and a faster return."""

    trivial = "nothing"
    ours = "echo_cancel"
    oracle = "headphones"
    columns = "lock-ups ↓; alone ↓; stopped ↓; new tempo ↓"
    note = (
        "Lock-ups of a room, of three: alone, stopped: follow follows for more than 8 beats without a player, at "
        "first and while the player rests for 16; new tempo: the clock has not taken a tempo 15 % faster after 16 "
        "beats, nor in the 8 after them (half or double counts as taken). The band is as loud as the player; its "
        "loudspeakers distort by 0, 1 or 5 %, the clock of every fourth microphone drifts, and each is moved by 10 cm "
        "in the middle of the rest."
    )
    folders = ("pop909",)
    road = "a patch of `follow`, `accompany` and synths, block by block"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        require_modules("the evaluation lockups", ("pyroomacoustics",))
        loaded = load_plugins(check=False)
        for n in range(ask.limit or ROOMS):
            rng = np.random.default_rng((ask.seed, n))
            decay = float(rng.uniform(0.2, 0.6))
            paths = np.array(
                [[np.pad(one, (0, TAIL))[:TAIL] for one in pair] for pair in simulate_room_responses(rng, decay)]
            )
            near, beats = _player(ask, rng, n)
            straight, cancelled = (
                PATCH.format(style=STYLES[n % len(STYLES)], cancels=wires) for wires in (STRAIGHT, CANCELLED)
            )
            alone = _looped(loaded, straight, near[: 4 * RATE], AcousticPath(0.0 * paths))
            level = max(1e-6, float(np.std(alone.played)))
            paths *= LEVEL / (level * float(np.linalg.norm(paths[0].sum(0))))
            bend, drift = BENDS[n % len(BENDS)], DRIFTS[n % len(DRIFTS)]
            moves = float(beats[PLAYS + RESTS // 2])
            way = AcousticPath(paths, moves, drift, bend_of(alone.played, bend))
            room = f"room {n}: RT60 {decay:.2f} s, {100 * bend:g} %, drift {1e6 * drift:g} ppm"
            for name, patch, heard in (
                ("nothing", straight, way),
                ("echo_cancel", cancelled, way),
                ("headphones", straight, AcousticPath(0.0 * paths)),
            ):
                if ask.wants(name):
                    found = _lock_ups(_looped(loaded, patch, near, heard), beats)
                    for measure, value in {"lock-ups": sum(found.values()), **found}.items():
                        yield MetricValue(name, measure, room, float(value))


class AcousticPath(NamedTuple):
    """Acoustic path from two loudspeakers to the microphone.

    `paths`: responses `[2, 2, TAIL]`, before and after the time `moves` in seconds. `drift`: relative slowness of the
    microphone's clock. `bend`: distortion of the loudspeakers.
    """

    paths: F64
    moves: float = 0.0
    drift: float = 0.0
    bend: Bend | None = None


class Led(NamedTuple):
    """Record of a loop per block: the clock's beat and tempo, whether `follow` is active, the band, `[2, frames]`."""

    beat: F64
    tempo: F64
    follows: F64
    played: F32


def _player(ask: EvaluationRequest, rng: np.random.Generator, number: int) -> tuple[F32, F64]:
    """A POP909 pianist who starts after `ALONE` seconds, `[frames]`, and the times of the beats."""
    folder = songs(ask.data, "89")[int(rng.integers(60))]
    song, own = read_midi(folder / f"{folder.name}.mid"), np.loadtxt(folder / "beat_midi.txt", ndmin=2)[:, 0]
    times, period = MidiTimes(song.tempo), float(np.median(np.diff(own)))
    count = PLAYS + RESTS + STAYS
    beats = ALONE + np.cumsum([0.0] + count * [period] + FASTER * [period / STEP])
    notes = []
    for note in (note for track in song.tracks if track.name == "PIANO" for note in track.notes):
        first, last = (float(np.interp(times.seconds(at), own, np.arange(len(own)))) for at in (note.start, note.end))
        first, last = first - INTRO, min(last - INTRO, len(beats) - 1.0)
        if 0.0 <= first < PLAYS or PLAYS + RESTS <= first < len(beats) - 1:
            last = min(last, PLAYS) if first < PLAYS else last
            start, end = (float(np.interp(at, np.arange(len(beats)), beats)) for at in (first, last))
            notes.append((start, end, note))
    sound = render_pianist(notes, FONTS[number // 2 % 3], 0.5).mean(0)
    near = of_length(sound, round(beats[-1] * RATE))
    scale = LEVEL / max(1e-6, float(np.std(near[near != 0.0])))
    return np.asarray(scale * near + FLOOR * rng.standard_normal(len(near)), np.float32), beats


def _looped(loaded: Loaded, patch: str, near: F32, way: AcousticPath) -> Led:
    """Runs a patch whose input is the player plus its own output a block later."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lockups.toml"
        file.write_text(patch)
        runner = patch_runner(file, loaded, StreamSpec(RATE, BLOCK, 2))
    follow = next(host for host in runner.plan.hosts.values() if host.name == "follow")
    state = next(n for n, param in enumerate(follow.info.cells) if param.name == "state")
    size = 1 << (TAIL + BLOCK).bit_length()
    spectra = np.fft.rfft(way.paths, size)
    spread, rows, follows = np.zeros(len(near) + size + BLOCK), list[tuple[float, float, float]](), 0.0
    out = np.zeros((2, len(near)), np.float32)
    try:
        for at in range(0, len(near) - BLOCK + 1, BLOCK):
            first = int(at * (1.0 - way.drift))
            slow = at * (1.0 - way.drift) - first + np.arange(BLOCK) * (1.0 - way.drift)
            heard = np.interp(slow, np.arange(BLOCK + 1), spread[first : first + BLOCK + 1])
            mic = np.asarray(heard + near[at : at + BLOCK], np.float32)
            played = runner.run(np.stack([mic, mic]))
            out[:, at : at + BLOCK] = played
            for number, cell, value in runner.plan.reports():
                if (number, cell) == (follow.number, state):
                    follows = float(value == 1.0)
            rows.append((runner.clock.beat, runner.clock.tempo, follows))
            bent = way.bend(played) if way.bend else played
            spectrum = spectra[int(at >= way.moves * RATE)]
            echo = np.fft.irfft((np.fft.rfft(bent, size) * spectrum).sum(0), size)
            spread[at + BLOCK :][:size] += echo
    finally:
        runner.close()
    table = np.array(rows)
    return Led(table[:, 0], table[:, 1], table[:, 2], out)


def _lock_ups(led: Led, beats: F64) -> dict[str, bool]:
    """Which of the three kinds of lock-up occurred."""

    def block(seconds: float) -> int:
        return int(seconds * RATE / BLOCK)

    def longest(first: float, last: float) -> float:
        run = most = 0.0
        for n in range(block(first), block(last)):
            run = run + led.beat[n + 1] - led.beat[n] if led.follows[n] else 0.0
            most = max(most, run)
        return most

    change = PLAYS + RESTS + STAYS
    asked = 60.0 / (beats[-1] - beats[-2])
    after = led.tempo[block(beats[change + round(BARS)]) : block(beats[change + round(BARS + LOCKED)] - 0.1)]
    octaves = np.log2(after / asked)
    return {
        "alone": longest(0.0, ALONE) > LOCKED,
        "stopped": longest(beats[PLAYS], beats[PLAYS + RESTS]) > LOCKED,
        "new tempo": bool((np.abs(octaves - np.round(octaves)) > np.log2(1.0 + NEAR)).all()),
    }
