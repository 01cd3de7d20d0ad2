"""`antiphon evaluate echo_cancel`: compares the canceller with Speex's, WebRTC's and none in simulated rooms."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from antiphon.api import F32, UsageError
from antiphon.api.backends.files import MidiNote, MidiTimes, MidiTrack, read_midi
from antiphon.api.backends.runtime import missing_modules, require_modules
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue
from antiphon_models.learning.user_commands import run_on_sound, run_to_notes
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings, missing, play_tracks
from antiphon_models.material.sounds import mono, of_length, songs

RATE, SECONDS = 48000, 10
FRAMES = RATE * SECONDS
LATE = slice(2 * RATE, FRAMES - RATE // 2)
"""Frames in which a canceller should have converged."""
LEAD = 2.0
"""Seconds of a song skipped before the played part."""
MOVED_AT = 5 * RATE
ROOMS = 8
"""Default number of rooms; 50 with `--limit 50`."""
SPLIT, SIZE = 12.0, 1024
"""Level difference in dB above which echo or near end counts as alone, and frames of a spectrum."""
FLOOR = 1e-4
"""RMS of a microphone's own noise."""
FONTS = (FLUID, TIM, Path("/usr/share/sounds/sf2/sf_GMbank.sf2"))
BENDS, DRIFTS = (0.0, 0.01, 0.05), (0.0, 0.0, 0.0, 5e-5)
"""Third-harmonic shares of loudspeakers, and clock drifts, cycling through the rooms."""
Cancels = Callable[[F32, F32], F32]
Bend = Callable[[F32], F32]


@dataclass(frozen=True, slots=True)
class RoomScene:
    """A room: the playback `[2, frames]`, its echo, the echo after a door has moved, and a near end `[frames]`.

    `notes`: a singer's notes, `[notes, 3]`: start, end, MIDI number; None for speech and guitar.
    """

    name: str
    played: F32
    echo: F32
    moved: F32
    near: F32
    noise: F32
    notes: NDArray[np.float64] | None


class EchoEvaluation(Evaluation):
    """Measures rendered songs from loudspeakers in simulated rooms, with singers in front of the microphone."""

    trivial = "nothing"
    peer = "Speex; WebRTC"
    ours = "echo_cancel, filter; echo_cancel"
    oracle = "nobody plays"
    columns = "single talk [dB]; double talk [dB]; near end [dB] ↓; moved [dB]; sung notes"
    note = (
        "single talk: echo taken after 2 s. double talk: the same where the echo is 12 dB above a singer as loud, "
        "in time and frequency. near end: change of the singer's level where he is 12 dB above the echo. moved: echo "
        "taken between 2 and 4.5 s after the microphone was moved by 10 cm. sung notes: F1 of `hum` on a singer as "
        "loud as the echo, tuning out; of the singer alone in the row nobody plays."
    )
    folders = ("pop909", "singing", "sonicpi", "tracks")
    road = "`antiphon run echo_cancel MIC OUT -p reference=PLAYED`, the filter with `-p mask=0`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        require_modules("the evaluation echo_cancel", ("pyroomacoustics",))
        if absent := missing(FONTS):
            raise UsageError(f"{', '.join(absent)} is not on this machine, and plays what is measured; install it")
        systems = _systems(ask)
        for n in range(ask.limit or ROOMS):
            scene = _scene(ask, n)
            if scene.notes is not None:
                yield MetricValue("nobody plays", "sung notes", scene.name, _notes(scene.notes, scene.near))
            for name, cancels in systems.items():
                yield from _measured(name, cancels, scene)


def _systems(ask: EvaluationRequest) -> dict[str, Cancels]:
    table: dict[str, Cancels] = {
        "nothing": lambda mic, _: mic,
        "Speex": _speex,
        "WebRTC": _webrtc,
        "echo_cancel, filter": lambda mic, played: _ours(mic, played, mask=0.0),
        "echo_cancel": _ours,
    }
    for name, module in (("Speex", "speexdsp_aec"), ("WebRTC", "pywebrtc_audio")):
        if find_spec(module) is None:
            ask.say(f"{name} is left out: {missing_modules('it', module)}")
            del table[name]
    return ask.select(table)


def _ours(mic: F32, played: F32, **values: float) -> F32:
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "played.wav"
        soundfile.write(reference, played.T, RATE, "FLOAT")
        return run_on_sound("echo_cancel", mic, RATE, {"reference": reference, **values})


def _webrtc(mic: F32, played: F32) -> F32:
    """Runs WebRTC's canceller with a mono reference, in its 10 ms blocks of 16 bits."""
    from pywebrtc_audio import EchoCanceller

    made, hop = EchoCanceller(RATE, 1, 0), RATE // 100
    out = np.zeros_like(mic)
    near, far = _short(mic), _short(played.mean(0))
    for at in range(0, len(mic) - hop + 1, hop):
        part = made.process(near[at : at + hop], far[at : at + hop])
        out[at : at + hop] = np.frombuffer(part, np.int16) / 32767.0 if isinstance(part, bytes) else part / 32767.0
    return out


def _speex(mic: F32, played: F32) -> F32:
    """Runs Speex's canceller with a mono reference, a tail of 250 ms and 16-bit frames of 10 ms."""
    from speexdsp_aec import SpeexAec

    made = SpeexAec(RATE, 10, 250)
    out = made.process(_short(mic), _short(played.mean(0)))
    made.close()
    return of_length(np.frombuffer(out, np.int16) / 32767.0, len(mic))


def _short(sound: F32) -> NDArray[np.int16]:
    return np.asarray(np.clip(32767.0 * sound, -32768, 32767), np.int16)


def near_end(ask: EvaluationRequest, number: int) -> tuple[F32, NDArray[np.float64] | None]:
    """A held-out singer, or in every fourth room speech and in every fourth a guitar; and its notes if known."""
    if number % 4 == 2:
        return mono(ask.data / "tracks" / "speech_librispeech.ogg", RATE), None
    if number % 4 == 3:
        parts = [mono(path, RATE) for path in sorted((ask.data / "sonicpi").glob("guit_*.flac"))]
        return np.concatenate(parts * (1 + FRAMES // sum(map(len, parts)))), None
    singers = sorted((ask.data / "singing").glob("*.ogg"))[40:]
    path = singers[number % len(singers)]
    notes = np.loadtxt(path.with_suffix(".txt"), ndmin=2)
    return mono(path, RATE), notes[notes[:, 0] < FRAMES / RATE - 0.1]


def _scene(ask: EvaluationRequest, number: int) -> RoomScene:
    """Builds a room by number: RT60 .2 to .6 s, 1 to 4 m; loudspeakers distort by 0, 1 or 5 %, clocks drift."""
    rng = np.random.default_rng((ask.seed, number))
    folder = songs(ask.data, "89")[int(rng.integers(60))]
    song = read_midi(folder / f"{folder.name}.mid")
    seconds = MidiTimes(song.tempo).seconds
    notes = [(seconds(n.start), seconds(n.end), n) for track in song.tracks for n in track.notes]
    at = float(rng.uniform(0.0, max(end for _, end, _ in notes) - 2 * SECONDS)) - LEAD
    heard = [(start - at, end - at, n) for start, end, n in notes if end > at and start < at + LEAD + SECONDS]
    rendered = render_pianist(heard, FONTS[number // 2 % 3], 0.4)[:, round(LEAD * RATE) :]
    part = np.stack([of_length(side, FRAMES) for side in rendered])
    played = np.asarray(0.4 * part / max(1e-3, float(np.abs(part).max())), np.float32)
    decay, bend, drift = rng.uniform(0.2, 0.6), BENDS[number % len(BENDS)], DRIFTS[number % len(DRIFTS)]
    echoes = []
    for responses in simulate_room_responses(rng, decay):
        total = np.zeros(FRAMES)
        for side, response in enumerate(responses):
            total += _filtered(bend_of(played[side], bend)(played[side]), response)
        echoes.append(_apply_clock_drift(total, drift))
    scale = 0.1 / max(1e-6, float(np.std(echoes[0])))
    sung, known = near_end(ask, number)
    near = of_length(sung, FRAMES)
    near = np.asarray(near * 0.1 / max(1e-6, float(np.std(near))), np.float32)
    noise = FLOOR * rng.standard_normal(FRAMES)
    echo, moved = (np.asarray(scale * sound, np.float32) for sound in echoes)
    name = f"room {number}: RT60 {decay:.2f} s, {100 * bend:g} %, drift {1e6 * drift:g} ppm"
    return RoomScene(name, played, echo, moved, near, np.asarray(noise, np.float32), known)


def render_pianist(notes: Iterable[tuple[float, float, MidiNote]], font: Path, gain: float) -> F32:
    """Renders a pianist's notes, each with start and end in seconds: `[2, frames]`."""
    track = tuple(
        MidiNote(2.0 * max(0.0, at), max(0.05, 2.0 * (end - at)), note.number, note.velocity, 1)
        for at, end, note in notes
    )
    return play_tracks([MidiTrack("piano", track)], font, RATE, FluidSettings(gain)).T


def simulate_room_responses(rng: np.random.Generator, decay: float) -> Iterator[list[NDArray[np.float64]]]:
    """Responses of a room with RT60 `decay` in s to two loudspeakers, at a microphone and at one 10 cm away."""
    import pyroomacoustics

    size = rng.uniform((3.5, 3.0, 2.4), (7.0, 5.5, 3.2))
    absorbed, order = pyroomacoustics.inverse_sabine(decay, size)
    ends = rng.uniform(0.3, 0.7, 2) * size[:2]
    turn = rng.uniform(0.0, 6.28)
    for step in (0.0, 0.1):
        room = pyroomacoustics.ShoeBox(
            size, fs=RATE, materials=pyroomacoustics.Material(absorbed), max_order=min(order, 30)
        )
        for side in (-1, 1):
            place = (ends + size[:2] * (0.25 * np.cos(turn + 0.5 * side), 0.25 * np.sin(turn + 0.5 * side)), [1.2])
            room.add_source(np.concatenate(place))
        room.add_microphone(np.array([*(ends + step), 1.4]))
        room.compute_rir()
        yield room.rir[0]


def bend_of(sound: F32, share: float) -> Bend:
    """Loudspeaker distortion that adds a third harmonic at a share of the sound's level."""
    peak = float(np.abs(sound).max()) + 1e-9

    def third(heard: F32) -> F32:
        return np.asarray(4.0 * (heard / peak) ** 3 - 3.0 * heard / peak, np.float32)

    scale = share * float(np.std(sound)) / (float(np.std(third(sound))) + 1e-9)
    return lambda heard: np.asarray(heard + scale * third(heard), np.float32)


def _filtered(sound: F32, response: NDArray[np.float64]) -> NDArray[np.float64]:
    size = 1 << (len(sound) + len(response)).bit_length()
    return np.asarray(np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)[: len(sound)])


def _apply_clock_drift(sound: NDArray[np.float64], drift: float) -> NDArray[np.float64]:
    if not drift:
        return sound
    n = np.arange(len(sound))
    return np.asarray(np.interp(n * (1.0 + drift), n, sound))


def _measured(name: str, cancels: Cancels, scene: RoomScene) -> Iterator[MetricValue]:
    out = cancels(scene.echo + scene.noise, scene.played)
    yield MetricValue(name, "single talk", scene.name, decibels(scene.echo[LATE]) - decibels(out[LATE]))
    out = cancels(scene.echo + scene.near + scene.noise, scene.played)
    echo, near, both = (_powers(sound[LATE]) for sound in (scene.echo, scene.near, out))
    share = 10 ** (SPLIT / 10)
    alone, sung = echo > share * near, near > share * echo
    yield MetricValue(name, "double talk", scene.name, 10 * np.log10(echo[alone].sum() / both[alone].sum()))
    change = abs(10 * np.log10(both[sung].sum() / near[sung].sum()))
    yield MetricValue(name, "near end", scene.name, float(change))
    if scene.notes is not None:
        yield MetricValue(name, "sung notes", scene.name, _notes(scene.notes, out))
    mic = np.where(np.arange(FRAMES) < MOVED_AT, scene.echo, scene.moved)
    out = cancels(np.asarray(mic + scene.noise, np.float32), scene.played)
    after = slice(MOVED_AT + 2 * RATE, FRAMES - RATE // 2)
    yield MetricValue(name, "moved", scene.name, decibels(mic[after]) - decibels(out[after]))


def _powers(sound: F32) -> NDArray[np.float64]:
    frames = sound[: len(sound) // SIZE * SIZE].reshape(-1, SIZE) * np.hanning(SIZE)
    return np.asarray(np.abs(np.fft.rfft(frames, axis=1)) ** 2 + 1e-12)


def decibels(sound: NDArray[np.floating]) -> float:
    """Level of the sound's mean power in dB."""
    return float(10.0 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-15))


def _notes(sung: NDArray[np.float64], out: F32) -> float:
    """F1 of the notes `antiphon run hum` finds: onset within 50 ms, pitch within 50 cents after tuning correction."""
    from mir_eval.transcription import precision_recall_f1_overlap
    from mir_eval.util import midi_to_hz

    song = run_to_notes("hum", out, RATE)
    notes = [note for track in song.tracks for note in track.notes]
    found = np.array([(song.seconds(n.start), song.seconds(n.end), n.number) for n in notes if n.end > n.start])
    if not len(found):
        return 0.0
    apart = [
        min(near, key=abs) for at, _, pitch in sung if len(near := found[np.abs(found[:, 0] - at) < 0.1, 2] - pitch)
    ]
    found[:, 2] -= np.median([a for a in apart if abs(a) < 2.0] or [0.0])
    return float(
        precision_recall_f1_overlap(
            sung[:, :2], midi_to_hz(sung[:, 2]), found[:, :2], midi_to_hz(found[:, 2]), offset_ratio=None
        )[2]
    )
