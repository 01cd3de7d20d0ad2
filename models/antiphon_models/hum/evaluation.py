"""`antiphon evaluate hum`: accuracy and latency of `hum` and other systems on singing, winds, hums and noise.

As `mir_eval.transcription`: onset within 50 ms, pitch within 50 cents; with ends, those within 50 ms or a fifth of the
note as well. On singing made here, the pitch is the nearest whole MIDI number.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.models import usable
from antiphon.api.backends.rendering import TimedNote, load_plugins, render_notes
from antiphon_hum.learned.tables import PITCH_MODEL
from antiphon_models.hum import systems, testset
from antiphon_models.hum.matching import ENDS, ONSET, note_f1, offset_of, tuning_of
from antiphon_models.hum.material import colours
from antiphon_models.hum.systems import Found, Result, System, System as Transcribe
from antiphon_models.hum.testset import RATE, Clip
from antiphon_models.learning import needs
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Example, MetricValue
from antiphon_models.material.singing import RATE as MADE
from antiphon_models.material.sounds import resampled

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


def own_scores(files: Sequence[Path], systems: Mapping[str, System]) -> Iterator[MetricValue]:
    """Figures of the systems on the files.

    Of each live system one constant offset, the median over all notes, is taken out. The pitch that counts is the one
    a system reports with its fraction; `F1 of MIDI numbers` is of the nearest whole number, which is what a synth is
    sent. `F1, tuning out` is what remains after the median deviation of pitch over the file.
    """
    clips = [testset.own_clip(path) for path in files]
    for name, system in systems.items():
        late: list[float] = []
        results: list[tuple[Clip, Result]] = []
        for clip in clips:
            result = system(clip)
            results.append((clip, result))
            if result.late is not None:
                late += offset_of(clip.notes, result.notes)
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
    """Notes of songs, voices, sentences, noises and a soundfont outside every training set."""

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
            table: dict[str, systems.System] = {"Basic Pitch": systems.peer("Basic Pitch")}
            if find_spec("basic_pitch") is None:
                ask.say("basic_pitch is not installed: pip install basic-pitch for its row")
                del table["Basic Pitch"]
            table |= {"chords, live": systems.live("chords"), "chords": systems.on_file("chords")}
            made |= ask.wanted(table)
            yield from own_scores(ask.files[: ask.limit], made)
            return
        if ask.synthetic:
            yield from self._synthetic(ask, made)
            return
        needs.folders(ask.data, testset.DATA, testset.OWN)
        noises = testset.noises(ask.data)
        ask.say("making what is measured, where it is not there yet")
        for n, (kind, clip) in enumerate(testset.annotated_clips(ask.data, ask.work, ask.seed, ask.limit)):
            for measure, sound in _heard(kind, clip, noises, n):
                for name, system in made.items():
                    result = system(sound)
                    yield MetricValue(name, measure, clip.name, f1(clip, result.notes))
                    if measure == "sung":
                        yield MetricValue(name, "sung with ends", clip.name, f1(clip, result.notes, ENDS))
                        yield MetricValue(
                            name, "real time", clip.name, len(clip.sound) / RATE / max(result.seconds, 1e-9)
                        )
                        late[name] += lateness(clip, result)
                    if measure in ("sung", "wind"):
                        yield MetricValue(name, "octave errors", clip.name, octaves(clip, result.notes))
        for kind, clip in testset.noteless_clips(ask.data, ask.work, ask.seed, ask.limit):
            for name, system in made.items():
                if name != "true pitch":
                    count = len(system(clip).notes)
                    yield MetricValue(name, f"false, {kind}", clip.name, 10.0 * count * RATE / len(clip.sound))
        yield from _late(late)

    def _synthetic(self, ask: EvaluationRequest, made: Mapping[str, Transcribe]) -> Iterator[MetricValue]:
        """Scores on material without data or programs: hums of sines, and coloured noise."""
        for n, clip in enumerate(testset.made_hums(ask.seed, ask.limit)):
            for ratio in (20, 10, 0):
                noisy = clip.with_noise(testset.pink(n), float(ratio))
                for name, system in made.items():
                    yield MetricValue(name, f"hum {ratio} dB", clip.name, f1(clip, system(noisy).notes))
        for n, x in enumerate(colours(10.0, ask.seed)):
            noise = Clip(f"noise {n}", resampled(x, MADE, RATE), np.zeros((0, 3)), np.zeros(0))
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
    """The (measure, sound) pairs of a clip."""
    if kind == "hum":
        for ratio in (20, 10, 0):
            yield f"hum {ratio} dB", clip.with_noise(testset.pink(n), float(ratio))
        return
    yield kind, clip
    if kind == "sung":
        yield "sung, noise 10 dB", clip.with_noise(noises[n % len(noises)][1], 10.0)


def _makers(ask: EvaluationRequest) -> dict[str, systems.System]:
    """The requested systems that are available, by name."""
    table: dict[str, systems.System] = {name: systems.peer(name) for name in systems.PEERS if name != "Basic Pitch"}
    table |= {"yin, live": systems.live("yin"), "yin": systems.on_file("yin")}
    if why := usable(PITCH_MODEL):
        ask.say(f"learned is left out: {why}")
    else:
        table |= {"learned, live": systems.learned_live(), "learned": systems.on_file("learned")}
    table["true pitch"] = systems.oracle
    return ask.wanted(table)


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


def lateness(clip: Clip, result: systems.Result) -> list[float]:
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
