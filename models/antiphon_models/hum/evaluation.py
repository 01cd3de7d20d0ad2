"""`antiphon evaluate hum`: measures accuracy and latency of `hum` and others on singing, winds, hums and noise.

As in `mir_eval.transcription`, onsets count within 50 ms, pitches within 50 cents, and ends, where measured, within 50
ms or a fifth of the note. On synthetic singing, the pitch is the nearest whole MIDI number.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from antiphon.api import F32, F64, note_number
from antiphon.api.backends.analysis import import_librosa
from antiphon.api.backends.models import usable
from antiphon.api.backends.rendering import TimedNote, load_plugins, render_notes
from antiphon.api.backends.signal import CENTRE, HOP, Decimator, MedianPitch
from antiphon_hum import learned
from antiphon_hum.learned import PITCH_MODEL
from antiphon_hum.learned.decode import Live, NoteDecoder
from antiphon_hum.notes import StreamTranscriber
from antiphon_hum.processor import BEND_RANGE
from antiphon_hum.tracker import PITCH_LAG, NoteTracker, TrackerSettings
from antiphon_models.hum import testset
from antiphon_models.hum.matching import ENDS, ONSET, nearest_start_distances, note_f1, tuning_of
from antiphon_models.hum.material import colours
from antiphon_models.hum.testset import RATE, Clip
from antiphon_models.learning import needs
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Example, MetricValue
from antiphon_models.learning.user_commands import run_to_notes
from antiphon_models.material.singing import PERIOD, RATE as MADE
from antiphon_models.material.sounds import resample_mono

# ---- Peer systems of `hum`: one note, librosa's pYIN with segmentation, and Basic Pitch for chords

Found = list[tuple[float, float, float]]
"""Notes as rows: start and end in seconds, and MIDI number."""
PEER_RATE, PEER_HOP, FRAME = 22050, 256, 2048
"""librosa's default sample rate, and the hop and frame length of its trackers."""
MIN_NOTE_SECONDS = 0.06
"""Minimum length of a note in seconds."""


def cut(pitch: F64, level: F64, seconds: float) -> Found:
    """Notes of a pitch track, split where the rounded five-frame median pitch changes, or after a gap.

    pitch: MIDI numbers, NaN unvoiced.  level: dB.  seconds: a frame's.
    """
    padded = np.pad(pitch, 2, constant_values=np.nan)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 5)
    there = np.isfinite(frames).sum(axis=1) >= 3
    smooth = np.full(len(pitch), np.nan)
    smooth[there] = np.nanmedian(frames[there], axis=1)
    keys = np.where(np.isfinite(smooth) & (level > -60.0), np.round(np.nan_to_num(smooth)), -1).astype(int)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(keys)) + 1, [len(keys)]])
    return [
        (float(a) * seconds, float(b) * seconds, float(np.nanmedian(smooth[a:b])))
        for a, b in pairwise(edges)
        if keys[a] >= 0 and (b - a) * seconds >= MIN_NOTE_SECONDS
    ]


def _level(sound: F32, frames: int) -> F64:
    librosa = import_librosa()
    rms = librosa.feature.rms(y=sound, frame_length=FRAME, hop_length=PEER_HOP)[0][:frames]
    return np.asarray(20.0 * np.log10(np.maximum(rms, 1e-9)), np.float64)


def pyin(sound: F32, rate: int) -> Found:
    """librosa.pyin, 65 to 2093 Hz."""
    librosa = import_librosa()
    x = resample_mono(sound, rate, PEER_RATE)
    hz, voiced, _ = librosa.pyin(x, fmin=65.4, fmax=2093.0, sr=PEER_RATE, frame_length=FRAME, hop_length=PEER_HOP)
    pitch = np.where(voiced, librosa.hz_to_midi(np.where(voiced, hz, 440.0)), np.nan)
    return cut(pitch, _level(x, len(pitch)), PEER_HOP / PEER_RATE)


def single_note(sound: F32, rate: int) -> Found:
    return [(0.0, len(sound) / rate, 60.0)]


def basic_pitch(sound: F32, rate: int) -> Found:
    """Basic Pitch (Bittner et al., 2022) at its defaults."""
    import soundfile
    from basic_pitch.inference import predict

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/in.wav"
        soundfile.write(path, sound, rate, "FLOAT")
        _, _, notes = predict(path)
    return [(float(start), float(end), float(number)) for start, end, number, *_ in notes]


PEERS: dict[str, Callable[[F32, int], Found]] = {
    "one note": single_note,
    "librosa pyin": pyin,
    "Basic Pitch": basic_pitch,
}


@dataclass(frozen=True, slots=True)
class TimedTranscription:
    """A transcription.

    `notes`: times are those of the sound; a live note has its corrected pitch. `late`: latency of each live note in
    seconds; None for files. `numbers`: seconds and MIDI number of each onset and correction of a live note, if known.
    """

    notes: Found
    late: float | None = None
    numbers: Sequence[tuple[float, int]] = ()


System = Callable[[Clip], TimedTranscription]


def peer(name: str) -> System:
    """Returns a competitor, a key of `PEERS`."""

    return lambda clip: TimedTranscription(PEERS[name](clip.sound, RATE))


def hum_file_system(mode: str) -> System:
    """Runs `antiphon run hum IN OUT.mid -p mode=MODE` and reads its MIDI file."""

    def run(clip: Clip) -> TimedTranscription:
        song = run_to_notes("hum", clip.sound, RATE, {"mode": mode})
        found = [note for track in song.tracks for note in track.notes]
        return TimedTranscription([(song.seconds(n.start), song.seconds(n.end), float(n.number)) for n in found])

    return run


def live(mode: str) -> System:
    """Runs the tracker hop by hop, as in a performance."""

    def run(clip: Clip) -> TimedTranscription:
        transcriber = StreamTranscriber(RATE, 1, {"mode": mode})
        transcriber.feed(clip.sound[None])
        notes = [(n.start / RATE, n.end / RATE, float(n.number)) for n in transcriber.notes()]
        return TimedTranscription(notes, transcriber.latency / RATE)

    return run


def learned_live_system() -> System:
    """Computes the learned mode's live result from the whole sound at once: equal to hop by hop, but faster.

    A correction beyond the pitch-bend range starts another note, as in the processor.
    """
    from antiphon_hum.learned.model_tracker import OfflineModel

    def run(clip: Clip) -> TimedTranscription:
        whole = OfflineModel()
        whole.feed(clip.sound[None])
        answers, _ = whole.end()
        decoder, late = NoteDecoder(Live()), latency(RATE)
        notes: Found = []
        numbers: list[tuple[float, int]] = []
        start, pitch, first = -1.0, -1.0, -1
        for hop, answer in enumerate(answers):
            decoder.step(answer)
            now = ((hop + 1) * whole.hop - 1) / RATE - late
            far = decoder.corrected is not None and abs(decoder.number - first) > BEND_RANGE
            if (decoder.ended or far) and pitch >= 0.0:
                notes.append((start, max(now, start + 0.02), pitch))
                pitch = -1.0
            if decoder.begun is not None or far:
                start, first = now, decoder.number
            if decoder.begun is not None or decoder.corrected is not None:
                numbers.append((now, decoder.number))
            if decoder.number >= 0:
                pitch = decoder.pitch
        if pitch >= 0.0:
            notes.append((start, clip.sound.shape[0] / RATE, pitch))
        return TimedTranscription([n for n in notes if n[1] > 0.0], late, numbers)

    return run


def latency(rate: int) -> float:
    """Latency in seconds reported by the learned mode when the engine runs its network."""
    from antiphon_hum.learned.model_tracker import SETTLING

    intake = Decimator(rate, learned.RATE, learned.HOP)
    hop = learned.HOP * intake.factor
    return ((learned.NEAR + SETTLING) * hop + intake.lag - 1) / rate


class TruePitch(MedianPitch):
    """Replaces the median pitch by the true pitch, `lag` hops late."""

    def __init__(self, hertz: F64, rate: float) -> None:
        self._hertz, self._rate = hertz, rate
        super().__init__(PITCH_LAG)

    def reset(self) -> None:
        self._hop = 0

    def step(self, pitch: float) -> float:
        self._hop += 1
        at = round(((self._hop - self.lag) * HOP - CENTRE) / self._rate * 1000.0 / PERIOD)
        hertz = self._hertz[at] if 0 <= at < len(self._hertz) else 0.0
        return note_number(hertz) if hertz > 0.0 else 0.0


def oracle(clip: Clip) -> TimedTranscription:
    """Segments the true pitch by yin's note model."""
    intake = Decimator(RATE)
    tracker = NoteTracker(intake, TruePitch(clip.hertz, intake.rate))
    x = np.concatenate([clip.sound, np.zeros(RATE // 3, np.float32)])[None]
    notes: Found = []
    at, hops, start, pitch = 0, 0, 0.0, -1.0
    while at < x.shape[1]:
        at += intake.take(x, at, x.shape[1])
        if not intake.full:
            continue
        hops += 1
        tracker.step(TrackerSettings())
        intake.turn()
        now = ((hops - tracker.lag) * HOP - CENTRE) / intake.rate
        if tracker.ended and pitch >= 0.0:
            notes.append((start, max(now, start + 0.01), float(round(pitch))))
            pitch = -1.0
        if tracker.begun is not None:
            start, pitch = now, tracker.begun.pitch
    if pitch >= 0.0:
        notes.append((start, len(clip.sound) / RATE, float(round(pitch))))
    return TimedTranscription(notes)


# ---- `antiphon evaluate hum` on the user's sounds: files, or a folder of them, each with its notes beside it

SOUNDS = (".wav", ".ogg", ".flac", ".mp3", ".aiff")


def files_in(folder: Path) -> tuple[Path, ...]:
    """Sounds of a folder with notes beside them, by name; empty without any."""
    if not folder.is_dir():
        return ()
    return tuple(
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SOUNDS and any(path.with_suffix(suffix).is_file() for suffix in testset.NOTES)
    )


def score_own_files(files: Sequence[Path], systems: Mapping[str, System]) -> Iterator[MetricValue]:
    """Measures the systems on the files.

    For each live system a constant offset, the median over all notes, is removed. Pitch is compared with its fraction;
    `F1 of MIDI numbers` compares the nearest whole numbers, which a synth receives. `F1, tuning out` is measured after
    removing the file's median pitch deviation.
    """
    clips = [testset.own_clip(path) for path in files]
    for name, system in systems.items():
        late: list[float] = []
        results: list[tuple[Clip, TimedTranscription]] = []
        for clip in clips:
            result = system(clip)
            results.append((clip, result))
            if result.late is not None:
                late += nearest_start_distances(clip.notes, result.notes)
            else:
                yield from _figures(name, clip, result.notes)
        if late:
            offset = float(np.median(late))
            for clip, result in results:
                yield from _figures(name, clip, [(a - offset, b - offset, p) for a, b, p in result.notes])


def _figures(name: str, clip: Clip, notes: Found) -> Iterator[MetricValue]:
    whole = [(a, b, float(round(pitch))) for a, b, pitch in notes]
    tuned = clip.notes.copy()
    tuned[:, 2] += tuning_of(clip.notes, notes)
    yield MetricValue(name, "F1", clip.name, note_f1(clip.notes, notes))
    yield MetricValue(name, "F1 with offsets", clip.name, note_f1(clip.notes, notes, ENDS))
    yield MetricValue(name, "F1 of MIDI numbers", clip.name, note_f1(clip.notes, whole))
    yield MetricValue(name, "F1, tuning out", clip.name, note_f1(tuned, notes))
    yield MetricValue(name, "notes found", clip.name, 100.0 * len(notes) / max(1, len(clip.notes)))


_EXAMPLES = 6
"""Number of examples: two songs, sung, played and hummed."""
MAX_LATENCY = 0.25
"""Maximum delay in seconds after a note's start for a live note to count in the latency."""


class HumEvaluation(Evaluation):
    """Measures songs, voices, sentences, noises and a soundfont outside every training set."""

    trivial = "one note"
    classical = "librosa pyin"
    peer = "Basic Pitch"
    ours = "yin, live; yin; learned, live; learned; chords, live; chords"
    oracle = "true pitch"
    on_files_alone = "chords, live", "chords"
    columns = "; ".join(
        (
            "F1; F1 with offsets; F1 of MIDI numbers; F1, tuning out; notes found [%]; sung; sung, noise 10 dB; wind",
            "hum 20 dB; hum 10 dB; hum 0 dB",
            "sung with ends; octave errors [%] ↓",
            *(f"false, {kind} [in 10 s] ↓" for kind in testset.NOTELESS_KINDS),
            "real time [x]; late, p50 [ms] ↓; late, p95 [ms] ↓",
        )
    )
    note = (
        "F1 of notes: onset within 50 ms, pitch within 50 cents. Live, the latency each mode tells is taken out before "
        "F1; late: from a sung beginning to the note of the right pitch, where there is one within 250 ms; the sound "
        "card's buffers are not in it."
    )
    items_note = (
        "Singing is espeak-ng's voices put together again by WORLD on POP909 melodies, not recorded: not to be "
        "compared with figures on recorded singing. Winds are FluidR3's."
    )
    files_doc = testset.FILES
    folders = testset.DATA
    synthetic_doc = "8 melodies hummed by sines, and noise, made by seed"
    road = '`antiphon run hum IN OUT.mid -p mode=MODE`; rows with "live" are the node\'s tracker, hop by hop'

    def files_in(self, data: Path, say: Callable[[str], None] = print) -> tuple[Path, ...]:
        return files_in(data)

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        made = _makers(ask)
        late: dict[str, list[float]] = {name: [] for name in made}
        if ask.files:
            made.pop("true pitch", None)
            table: dict[str, System] = {"Basic Pitch": peer("Basic Pitch")}
            if find_spec("basic_pitch") is None:
                ask.say("basic_pitch is not installed: pip install basic-pitch for its row")
                del table["Basic Pitch"]
            table |= {"chords, live": live("chords"), "chords": hum_file_system("chords")}
            made |= ask.select(table)
            yield from score_own_files(ask.files[: ask.limit], made)
            return
        if ask.synthetic:
            yield from self._synthetic_material_scores(ask, made)
            return
        needs.folders(ask.data, testset.DATA, testset.OWN)
        noises = testset.noises(ask.data)
        ask.say("making what is measured, where it is not there yet")
        for n, (kind, clip) in enumerate(testset.annotated_clips(ask.data, ask.work, ask.seed, ask.limit)):
            for measure, sound in _heard(kind, clip, noises, n):
                for name, system in made.items():
                    begun = time.perf_counter()
                    result = system(sound)
                    taken = max(time.perf_counter() - begun, 1e-9)
                    yield MetricValue(name, measure, clip.name, f1(clip, result.notes))
                    if measure == "sung":
                        yield MetricValue(name, "sung with ends", clip.name, f1(clip, result.notes, ENDS))
                        yield MetricValue(name, "real time", clip.name, len(clip.sound) / RATE / taken)
                        late[name] += lateness(clip, result)
                    if measure in ("sung", "wind"):
                        yield MetricValue(name, "octave errors", clip.name, octaves(clip, result.notes))
        for kind, clip in testset.noteless_clips(ask.data, ask.work, ask.seed, ask.limit):
            for name, system in made.items():
                if name != "true pitch":
                    count = len(system(clip).notes)
                    yield MetricValue(name, f"false, {kind}", clip.name, 10.0 * count * RATE / len(clip.sound))
        yield from _late(late)

    def _synthetic_material_scores(self, ask: EvaluationRequest, made: Mapping[str, System]) -> Iterator[MetricValue]:
        """Scores on material without data or programs: hums of sines, and coloured noise."""
        for n, clip in enumerate(testset.synthetic_hums(ask.seed, ask.limit)):
            for ratio in (20, 10, 0):
                noisy = clip.with_noise(testset.pink(n), float(ratio))
                for name, system in made.items():
                    yield MetricValue(name, f"hum {ratio} dB", clip.name, f1(clip, system(noisy).notes))
        for n, x in enumerate(colours(10.0, ask.seed)):
            noise = Clip(f"noise {n}", resample_mono(x, MADE, RATE), np.zeros((0, 3)), np.zeros(0))
            for name, system in made.items():
                if name != "true pitch":
                    yield MetricValue(name, "false, noise", noise.name, float(len(system(noise).notes)))

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        made, loaded = _makers(ask), load_plugins(check=False)

        def played(clip: Clip, what: str, notes: Found) -> Example:
            timed = [
                TimedNote(round(a * RATE), round(b * RATE), min(127, max(0, round(number)))) for a, b, number in notes
            ]
            blocks = [
                block[0].copy() for block in render_notes(timed, len(clip.sound), RATE, loaded, channels=1, block=2048)
            ]
            return Example(clip.name, what, np.concatenate(blocks), RATE)

        if ask.files:
            clips = iter([testset.own_clip(path) for path in ask.files])
        else:
            needs.folders(ask.data, testset.DATA, testset.OWN)
            clips = (
                clip
                for _, clip in testset.annotated_clips(ask.data, ask.work, ask.seed, -(-(ask.limit or _EXAMPLES) // 3))
            )
        for clip in islice(clips, ask.limit or _EXAMPLES):
            yield Example(clip.name, "sound", clip.sound, RATE)
            yield played(clip, "its notes", [(float(a), float(b), float(n)) for a, b, n in clip.notes])
            for name, system in made.items():
                if name != "true pitch" or len(clip.hertz):
                    yield played(clip, name, system(clip).notes)


def _heard(kind: str, clip: Clip, noises: list[tuple[str, F32]], n: int) -> Iterator[tuple[str, Clip]]:
    """Yields the (measure, sound) pairs of a clip."""
    if kind == "hum":
        for ratio in (20, 10, 0):
            yield f"hum {ratio} dB", clip.with_noise(testset.pink(n), float(ratio))
        return
    yield kind, clip
    if kind == "sung":
        yield "sung, noise 10 dB", clip.with_noise(noises[n % len(noises)][1], 10.0)


def _makers(ask: EvaluationRequest) -> dict[str, System]:
    """The requested systems that are available, by name."""
    table: dict[str, System] = {name: peer(name) for name in PEERS if name != "Basic Pitch"}
    table |= {"yin, live": live("yin"), "yin": hum_file_system("yin")}
    if why := usable(PITCH_MODEL):
        ask.say(f"learned is left out: {why}")
    else:
        table |= {"learned, live": learned_live_system(), "learned": hum_file_system("learned")}
    table["true pitch"] = oracle
    return ask.select(table)


def _late(late: dict[str, list[float]]) -> Iterator[MetricValue]:
    for name, values in late.items():
        if values:
            for part in (50, 95):
                yield MetricValue(name, f"late, p{part}", "all", 1000.0 * float(np.percentile(values, part)))


def f1(clip: Clip, found: Found, ends: float | None = None) -> float:
    """Note F1, 0 to 1. ends: tolerance of a note's end as a share of its length, None to ignore ends."""
    return note_f1(clip.notes, [(start, end, float(round(pitch))) for start, end, pitch in found], ends)


def octaves(clip: Clip, found: Found) -> float:
    """Percentage of the notes with a found onset whose pitch is whole octaves off; NaN without any."""
    heard = wrong = 0
    for start, _, pitch in clip.notes:
        near = [(abs(at - start), number) for at, _, number in found if abs(at - start) <= ONSET]
        if near:
            off = abs(round(min(near)[1]) - pitch)
            heard += 1
            wrong += off > 0 and off % 12 == 0
    return 100.0 * wrong / heard if heard else float("nan")


def lateness(clip: Clip, result: TimedTranscription) -> list[float]:
    """Delay in seconds of the found note after each sung note's start, where within `MAX_LATENCY`."""
    if result.late is None:
        return []
    numbers = result.numbers or [(at, round(number)) for at, _, number in result.notes]
    said = [(at + result.late, number) for at, number in numbers]
    late = []
    for start, _, pitch in clip.notes:
        after = [at - start for at, number in said if 0.0 <= at - start <= MAX_LATENCY and number == pitch]
        if after:
            late.append(min(after))
    return late
