"""File job `antiphon run third A OUT`: notes and beats of A with a reference's timbre, or with a genre's backing."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import F32, F64, SHARP_NAMES, FileError, UsageError, Value
from antiphon.api.backends.analysis import listening_mono, plain_result, separate_blocks
from antiphon.api.backends.files import (
    AudioWriter,
    MidiNote,
    MidiTrack,
    printable_path,
    read_midi,
    read_sound,
    temporary_folder,
    write_midi,
)
from antiphon.api.backends.rendering import TimedNote, load_plugins, render_notes, run_job
from antiphon.api.backends.signal import FLAT_NAMES, hann
from antiphon.api.jobs import FileJob, Written, fade_out
from antiphon.offline.plugin_jobs import play_through
from antiphon_mosaic.corpus import read

GENRES: dict[str, dict[str, Value]] = {
    "house": {"style": "house", "parts": "piano,bass,drums,pad"},
    "liquid": {"style": "funk", "parts": "piano,bass,drums,pad", "intensity": 0.9},
    "hip hop": {"style": "funk", "parts": "piano,bass,drums", "intensity": 0.2},
    "rock": {"style": "rock", "parts": "guitar,bass,drums"},
    "metal": {"style": "rock", "parts": "guitar,bass,drums", "intensity": 1.0, "density": 1.0},
    "reggae": {"style": "reggae", "parts": "guitar,bass,drums"},
    "jazz": {"style": "swing", "parts": "piano,bass,drums", "complexity": 0.8},
    "blues": {"style": "swing", "parts": "guitar,bass,drums"},
    "bossa nova": {"style": "bossa", "parts": "guitar,bass,drums"},
    "country": {"style": "pop", "parts": "guitar,bass,drums"},
    "classical": {"style": "chorale", "parts": "piano"},
    "ambient": {"style": "arpeggio", "parts": "pad", "intensity": 0.1},
}
"""Genres of `genre`, drum and bass by the name of its softer kind: the nearest settings of `accompany`."""
INSTRUMENTS = {"piano": "piano", "guitar": "pluck", "bass": "bass", "drums": "drums", "pad": "pad"}
LEVELS = {"piano": 0.5, "guitar": 0.4, "bass": 0.7, "drums": 0.8, "pad": 0.35}
VOICE, MELODY = 1.0, 0.6
"""Gains of A's voice relative to its original level, and of a played melody, relative to the band."""
MIN_VOICE_LEVEL = 0.3
"""RMS of A's voice relative to that of A, above which the voice stays as sound."""


def band(
    name: str, sound: F32, rate: int, genre: str, change: Callable[[F32], F32], progress: Callable[[float], None]
) -> tuple[F32, tuple[str, ...]]:
    """A's melody with a genre's band, `[1, n]` as long as `sound` `[channels, n]`, and a report.

    `change` gives the band another timbre. Raises `UsageError` without a beat, or without melody and chords.
    """
    found = analyse_song(sound, rate)
    tempo, downbeats = found.get("tempo"), found.get("downbeats") or found.get("beats")
    if not tempo or not downbeats:
        raise UsageError(f"no beat was found in {name}, which a band needs; leave genre out")
    progress(0.2)
    with temporary_folder() as work:
        with AudioWriter(work / "a.wav", rate, 1, "FLOAT") as writer:
            writer.write(listening_mono(sound)[None])
        begin, beat = first_bar(downbeats), 60.0 / float(tempo)
        chords = [(max(0.0, a - begin), b - begin, chord) for a, b, chord in found["chords"] if b > begin]
        heard = melody(work, float(tempo), begin)
        # without a melody, the chords are played alone, over their roots
        roots = [
            MidiNote(a / beat, (b - a) / beat, 72 + chord_root_class(chord)) for a, b, chord in chords if chord != "N"
        ]
        if not (tune := heard or roots):
            raise UsageError(f"neither melody nor chords were found in {name}, under which a band could play")
        notes = work / "melody.mid"
        write_midi(notes, [MidiTrack("melody", tuple(tune), 0)], float(tempo))
        progress(0.4)
        text = "\n".join(f"{a:.3f} {b:.3f} {chord}" for a, b, chord in chords)
        settings = GENRES[genre]
        run_job("accompany", notes, work / "band.mid", settings, {"chords": text} if text else {})
        frames, first = sound.shape[1], round(begin * rate)
        tracks = {track.name.strip().lower(): track for track in read_midi(work / "band.mid").tracks}
        played = np.zeros((1, frames), np.float32)
        for part in str(settings["parts"]).split(","):
            if part in tracks:
                played += LEVELS[part] * render_part(tracks[part], INSTRUMENTS[part], float(tempo), first, frames, rate)
        progress(0.6)
        played = change(played)
        lead, factor = find_voice(sound, work), VOICE
        if lead is None:
            track = MidiTrack("melody", tuple(heard), 0)
            lead, factor = render_part(track, "strings", float(tempo), first, frames, rate), MELODY
    level = float(np.sqrt(np.mean(np.square(sound)))) + 1e-9
    balance = level / (float(np.sqrt(np.mean(np.square(played)))) + 1e-9)
    own = 1.0 if factor == VOICE else level / (float(np.sqrt(np.mean(np.square(lead)))) + 1e-9)
    made = 0.7 * balance * played + factor * own * lead
    kept = "its voice and chords" if factor == VOICE else "its melody and chords" if heard else "its chords"
    return np.asarray(made, np.float32), (f"{genre}: {kept} at {tempo:.1f} bpm",)


def first_bar(downbeats: Sequence[float]) -> float:
    """Start in seconds of the song's first bar: at most 0, so that a pickup is included."""
    first = float(downbeats[0])
    length = float(np.median(np.diff(downbeats))) if len(downbeats) > 1 else first
    return first - math.ceil(max(0.0, first) / length) * length if length > 0.0 else first


def chord_root_class(chord: str) -> int:
    """Pitch class of a chord's root, as of "F#:min"."""
    root = chord.split(":")[0]
    return (SHARP_NAMES if root in SHARP_NAMES else FLAT_NAMES).index(root)


def analyse_song(sound: F32, rate: int) -> dict[str, Any]:
    """Tempo, beats and chords by the analysis `music`."""
    import soxr

    factory: Any = load_plugins(check=False).factories["analyses"].get("music")
    if factory is None:
        raise UsageError("genre needs the analysis music, which is not here; antiphon plugins lists what is")
    analysis = factory()
    run = analysis.begin(analysis.rate, 1)
    mono = soxr.resample(listening_mono(sound), rate, analysis.rate)
    run.feed(np.ascontiguousarray(mono[None], np.float32))
    return plain_result("music", analysis, run.result())


def melody(work: Path, tempo: float, first: float) -> list[MidiNote]:
    """Melody of `work`/a.wav, in beats from second `first`, at most 0; empty without one."""
    run_job("hum", work / "a.wav", work / "sung.mid", {"lead": True, "bpm": tempo})
    song, beats = read_midi(work / "sung.mid"), first * tempo / 60.0
    every = [note for track in song.tracks for note in track.notes]
    moved = [replace(note, start=song.seconds(note.start) * tempo / 60.0 - beats) for note in every]
    return [replace(note, start=max(0.0, note.start)) for note in moved if note.start >= -0.1]


def render_part(track: MidiTrack, instrument: str, tempo: float, first: int, frames: int, rate: int) -> F32:
    """Renders a part with the synth, `[1, frames]`, its beat 0 at frame `first`, which may be negative."""
    beat = rate * 60.0 / tempo
    notes = [
        TimedNote(max(0, first + round(n.start * beat)), first + round(n.end * beat), n.number, n.velocity)
        for n in track.notes
        if first + n.start * beat < frames - 1 and round(first + n.end * beat) > 0
    ]
    out = np.zeros((1, frames), np.float32)
    at = 0
    for block in render_notes(notes, frames, rate, load_plugins(check=False), instrument, 1, 2048):
        out[:, at : at + block.shape[1]] = block
        at += block.shape[1]
    return out


def find_voice(sound: F32, work: Path) -> F32 | None:
    """Separates the voice of A by the job `stems`, from `work`/a.wav to `work`/voice.wav.

    `sound`: A, `[channels, n]`. Returns the voice's first channel, `[1, n]`, or None if its RMS is at most
    `MIN_VOICE_LEVEL` times that of A.
    """
    run_job("stems", work / "a.wav", work / "voice.wav", {}, {"only": "voice"})
    voice = read_sound(work / "voice.wav").samples[:1, : sound.shape[1]]
    own, whole = (math.sqrt(float(np.mean(np.square(x)))) for x in (voice, listening_mono(sound)))
    return np.asarray(voice, np.float32) if own > MIN_VOICE_LEVEL * whole else None


SIZE, HOP = 2048, 512
"""Window and hop in samples."""
BATCH_SIZE = 256
MAX_SECONDS = 600.0
"""Maximum seconds of A."""
TRANSFER_AMOUNT = 0.75
"""`amount` of the timbre transfer of the harmonic part."""
SPREAD_AMOUNT = 0.5
"""Degree to which the drums' levels over time take B's distribution, with its decays and rests."""
QUANTILES = np.linspace(0.0, 1.0, 33)
MAX_QUANTILE_FRAMES = 4096
LEVEL_RANGE, MAX_RAISE = 90.0, 40.0
"""Range in dB below the loudest band, and maximum gain in dB, of the distributions."""
MAX_SHIFT = 10.0 ** (10.0 / 20.0)
"""Maximum change of the drums' share, so that leakage into them in A stays soft and A's beats stay audible."""
PARAM_NAMES = ("reference", "tempo", "genre")


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes the third song, as long as A, or at another tempo.

    Raises UsageError: a given parameter belongs to the live node only, or A is too long. Raises FileError: a file
    cannot be read or written.
    """
    if others := sorted(set(job.settings) - set(PARAM_NAMES)):
        raise UsageError(f"on files third takes reference, tempo and genre alone; leave {', '.join(others)} out")
    first = read_sound(job.source)
    if first.samples.shape[1] > MAX_SECONDS * first.rate:
        raise UsageError(
            f"{printable_path(job.source)} is longer than {MAX_SECONDS / 60:g} minutes; give a shorter part"
        )
    if first.samples.shape[1] < 2 * SIZE:
        raise FileError(f"{printable_path(job.source)} is too short; give at least {2 * SIZE} samples")
    sound, rate = first.samples, first.rate
    found: tuple[str, ...] = ()
    if wanted := float(job.settings.get("tempo", 0.0)):
        own = tempo_of(listening_mono(sound), rate)
        sound = stretch_to(sound, rate, own / wanted)
        found = (f"{own:.1f} bpm played at {wanted:g}",)
    job.progress(0.1)
    path = str(job.settings.get("reference", ""))
    reference = np.concatenate(read(path, rate))[None] if path else None
    if (genre := str(job.settings.get("genre", "own"))) != "own":

        def change(played: F32) -> F32:
            return played if reference is None else combine_songs(played, reference, rate)

        made, lines = band(printable_path(job.source), sound, rate, genre, change, job.progress)
        made = np.tile(made, (len(sound), 1))
        found += lines
    else:
        assert reference is not None
        made = combine_songs(sound, reference, rate, job.progress)
    with AudioWriter(job.target, rate, len(made), finish=job.finish.from_notes(level=False)) as writer:
        for block in fade_out([made], rate, job.fade):
            writer.write(block)
    return (Written.sound(writer, printable_path(job.source), found),)


def combine_songs(
    first: F32,
    second: F32,
    rate: int,
    progress: Callable[[float], None] = lambda part: None,
) -> F32:
    """Combines notes and beats of `first` `[channels, n]` with the timbre and drums of `second` `[1, m]`.

    The harmonic part gets B's long-term spectrum and then `transfer`; the percussive part gets B's spectrum and, in
    part, the distribution of its levels over time. Each part has its share of the level in B, the drums within 10 dB of
    their share in A. The result has A's level.
    """
    (held, struck), (their_held, their_struck) = (separate(sound, rate) for sound in (first, second))
    if _level(their_held) < 0.02 * _level(second):
        their_held = second
    progress(0.3)
    held = node("transfer", equalise(held, their_held), their_held, rate, {"amount": TRANSFER_AMOUNT})
    out = _at(_level(their_held), held)
    progress(0.6)
    if _level(their_struck) > 0.02 * _level(second) and _level(struck) > 1e-5:
        own, theirs = _level(struck) / _level(first), _level(their_struck) / _level(second)
        share = min(max(theirs, own / MAX_SHIFT), own * MAX_SHIFT)
        out += _at(share * _level(second), spread(equalise(struck, their_struck), their_struck))
    progress(0.9)
    return _at(_level(first), out)


def node(kind: str, sound: F32, reference: F32, rate: int, values: dict[str, Value]) -> F32:
    """Runs a sound `[channels, n]` through a node with a reference, at equal length."""
    import soundfile

    with temporary_folder() as folder:
        path = folder / "reference.wav"
        soundfile.write(path, reference.T, rate, "FLOAT")
        return play_through(kind, sound, rate, {"reference": str(path), **values})


def separate(sound: F32, rate: int) -> tuple[F32, F32]:
    """Separates `[channels, n]`, by `stems`, into the harmonic part (all but the drums) and the percussive one."""
    names, blocks = separate_blocks([sound], rate, len(sound))
    struck = np.concatenate([block[names.index("drums")] for block in blocks], axis=1)
    return sound - struck, struck


def equalise(sound: F32, reference: F32) -> F32:
    """Gives a sound the reference's long-term spectrum, smoothed over thirds of an octave."""
    gain = np.minimum(np.sqrt(long_term(reference) / long_term(sound)), 1000.0)
    return shape(sound, lambda power: gain)


def spread(sound: F32, reference: F32) -> F32:
    """Moves the distribution of levels over time, in each third of an octave, halfway to the reference's.

    So a stroke decays as in the reference, and residues of other instruments between strokes become softer.
    """
    own, theirs = (level_quantiles(one) for one in (sound, reference))

    def gain(power: F64) -> F64:
        levels = 10.0 * np.log10(smooth(power))
        found = [np.interp(*columns) for columns in zip(levels.T, own.T, theirs.T, strict=True)]
        raised = np.minimum(np.array(found).T - np.maximum(levels, own[:1]), MAX_RAISE)
        return np.asarray(10.0 ** (SPREAD_AMOUNT * raised / 20.0), np.float64)

    return shape(sound, gain)


def shape(sound: F32, gain: Callable[[F64], F64]) -> F32:
    """Multiplies the bins of a sound by a gain from each window's power `[n, bins]`, averaged over channels."""
    window = hann(SIZE)
    padded = np.pad(sound, ((0, 0), (SIZE, SIZE + HOP)))
    views = np.lib.stride_tricks.sliding_window_view(padded, SIZE, axis=1)[:, ::HOP]
    total = np.zeros_like(padded)
    for at in range(0, views.shape[1], BATCH_SIZE):
        spectra = np.fft.rfft(views[:, at : at + BATCH_SIZE] * window, axis=2)
        spectra *= gain(np.square(np.abs(spectra), dtype=np.float64).mean(axis=0))
        pieces = np.fft.irfft(spectra, SIZE, axis=2) * (window / 1.5)
        for n in range(pieces.shape[1]):
            total[:, (at + n) * HOP : (at + n) * HOP + SIZE] += pieces[:, n]
    return total[:, SIZE : SIZE + sound.shape[1]]


def powers(sound: F32, most: int = 0) -> Iterator[F64]:
    """Power `[n, bins]` of a sound's windows, or of at most `most` of them at equal distances."""
    mono = np.pad(listening_mono(sound), SIZE)
    views = np.lib.stride_tricks.sliding_window_view(mono, SIZE)[::HOP]
    views = views[:: -(-len(views) // most)] if most else views
    for at in range(0, len(views), BATCH_SIZE):
        yield np.square(np.abs(np.fft.rfft(views[at : at + BATCH_SIZE] * hann(SIZE), axis=1)), dtype=np.float64)


def level_quantiles(sound: F32) -> F64:
    """Smoothed levels in dB below which a bin lies for each of `QUANTILES` of the time, `[33, bins]`, rising."""
    levels = np.concatenate([10.0 * np.log10(smooth(power)) for power in powers(sound, MAX_QUANTILE_FRAMES)])
    levels = np.maximum(levels, levels.max() - LEVEL_RANGE)
    # where silence has several of them, the lowest is meant
    return np.asarray(np.quantile(levels, QUANTILES, axis=0) + 1e-6 * QUANTILES[:, None], np.float64)


def long_term(sound: F32) -> F64:
    """Mean power of the bins, smoothed."""
    every = [(power.sum(axis=0), len(power)) for power in powers(sound)]
    return smooth(sum(power for power, _ in every) / sum(count for _, count in every))


def smooth(power: F64) -> F64:
    """Power `[..., bins]` as the mean of a third of an octave around each bin."""
    bins = np.arange(power.shape[-1])
    width = np.maximum(1.0, 0.115 * bins)
    low = np.maximum(0, np.floor(bins - width)).astype(int)
    high = np.minimum(len(bins), np.ceil(bins + width + 1)).astype(int)
    total = np.pad(np.cumsum(power, axis=-1), [(0, 0)] * (power.ndim - 1) + [(1, 0)])
    return np.asarray((total[..., high] - total[..., low]) / (high - low) + 1e-12, np.float64)


def tempo_of(mono: F32, rate: int) -> float:
    """Tempo in bpm of the first 90 s, by the autocorrelation of the rise of 64 bands; near 110 if ambiguous."""
    window = np.hanning(1024)
    mono = mono[: 90 * rate]
    views = np.lib.stride_tricks.sliding_window_view(np.pad(mono, 1024), 1024)[:: (hop := rate // 100)]
    bands = np.abs(np.fft.rfft(views * window, axis=1))[:, 1:].reshape(len(views), 64, -1).mean(axis=2)
    rise = np.maximum(0.0, np.diff(np.log10(bands + 1e-4), axis=0)).sum(axis=1)
    rise = rise - rise.mean()
    found = np.fft.irfft(np.abs(np.fft.rfft(rise, 2 * len(rise))) ** 2)[: len(rise)]
    lags = np.arange(30.0, 100.0, 0.05)
    bpm = 60.0 * rate / hop / lags
    places = np.arange(len(found))
    score = sum(np.interp(n * lags, places, found) / n for n in (1, 2, 4))
    return float(bpm[np.argmax(score * np.exp(-0.5 * (np.log2(bpm / 110.0) / 0.7) ** 2))])


def stretch_to(sound: F32, rate: int, factor: float) -> F32:
    """Stretches a sound by `factor` at constant pitch (Signalsmith Stretch)."""
    from python_stretch.Signalsmith import Stretch

    stretch = Stretch(1)
    stretch.preset(len(sound), float(rate))
    stretch.setTimeFactor(1.0 / factor)
    return np.asarray(stretch.process(np.ascontiguousarray(sound)), np.float32)


def _level(sound: F32) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) + 1e-9


def _at(level: float, sound: F32) -> F32:
    return np.asarray(sound * (level / _level(sound)), np.float32)
