"""`antiphon evaluate howl_guard`: feedback loops of loudspeaker, room and microphone, with and without singers."""

from collections.abc import Iterator

import numpy as np

from antiphon.api import F32, StreamSpec
from antiphon.api.backends.runtime import require_modules
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue
from antiphon_models.room.evaluation import FLOOR, RATE, decibels, near_end, simulate_room_responses
from antiphon_room.guard import HowlGuard

BLOCK = 480
SECONDS, ENDS = 60, 30
"""Length of a loop in seconds, and the second from which its remaining howl is measured."""
GAIN = 6.0
"""Loop gain in dB at its strongest frequency."""
LEVEL = 0.05
"""RMS of a singer, of speech or of a guitar in front of the microphone."""
OPEN = 5
"""Seconds after which an input is open."""
ROOMS = 16


class HowlEvaluation(Evaluation):
    """Measures loops at +6 dB loop gain for a minute, and the same singers without a loudspeaker."""

    trivial = "nothing"
    ours = "howl_guard"
    columns = "loudest [dBFS] ↓; loud [s] ↓; end [dB] ↓; lowered [dB] ↓"
    note = (
        "loudest: peak of what is played. loud: tenths of a second, of 60, above -12 dBFS. end: what is played in the "
        "second half minute above the singer. lowered: what the same singer loses beside no loudspeaker."
    )
    folders = ("singing", "sonicpi", "tracks")
    road = "the processor, block by block"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        require_modules("the evaluation howl_guard", ("pyroomacoustics",))
        for n in range(ask.limit or ROOMS):
            rng = np.random.default_rng((ask.seed, n))
            decay = float(rng.uniform(0.2, 0.6))
            path = np.asarray(next(simulate_room_responses(rng, decay))[0], np.float32)
            sung = np.resize(near_end(ask, n)[0], SECONDS * RATE)
            noise = FLOOR * rng.standard_normal(len(sung))
            near = np.asarray(sung * LEVEL / max(1e-6, float(np.std(sung))) + noise, np.float32)
            room = f"room {n}: RT60 {decay:.2f} s"
            for name in ask.select({"nothing": None, "howl_guard": None}):
                guards = name == "howl_guard"
                played = play_loop(near, path, guards=guards)
                tenths = np.square(played[: len(played) // 4800 * 4800].reshape(-1, 4800)).mean(1)
                late = slice(ENDS * RATE, len(played))
                yield MetricValue(name, "loudest", room, 10.0 * np.log10(float(np.square(played).max()) + 1e-15))
                yield MetricValue(name, "loud", room, 0.1 * float((tenths > 10**-1.2).sum()))
                yield MetricValue(name, "end", room, decibels(played[late]) - decibels(near[late]))
                alone = play_loop(near[: 20 * RATE], np.zeros(1, np.float32), guards=guards)[OPEN * RATE :]
                yield MetricValue(name, "lowered", room, decibels(near[OPEN * RATE :][: len(alone)]) - decibels(alone))


def play_loop(near: F32, path: F32, *, guards: bool) -> F32:
    """Output, clipped at full scale, of a patch in a loop: its microphone picks up the output a block later."""
    guard = HowlGuard()
    guard.prepare(StreamSpec(RATE, BLOCK, 1))
    path = path[: RATE * 3 // 10]
    size = 1 << (len(path) + BLOCK).bit_length()
    spectrum = np.fft.rfft(path, size)
    strongest = float(np.abs(np.fft.rfft(path, 1 << 17)).max())
    spectrum *= 10 ** (GAIN / 20) / max(strongest, 1e-9)
    spread, out = np.zeros(len(near) + size + BLOCK), np.zeros(len(near) // BLOCK * BLOCK, np.float32)
    before = np.zeros((2, BLOCK), np.float32)
    sound = np.zeros((1, BLOCK), np.float32)
    for at in range(0, len(out), BLOCK):
        mic = np.asarray(spread[at : at + BLOCK] + near[at : at + BLOCK], np.float32)[None]
        if guards:
            guard.pass_through(mic, before, sound)
        else:
            sound[:] = mic
        out[at : at + BLOCK] = before[:] = np.clip(sound, -1.0, 1.0)
        spread[at + BLOCK :][:size] += np.fft.irfft(np.fft.rfft(out[at : at + BLOCK], size) * spectrum, size)
    return out
