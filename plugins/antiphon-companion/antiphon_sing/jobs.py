"""File job `antiphon run sing IN OUT.wav`: sings a score, or a recording in another voice, at equal length."""

import math
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from antiphon.api import F32, F64, Event, FileError, Samples, UsageError
from antiphon.api.backends.analysis import listening_mono
from antiphon.api.backends.files import (
    MUSICXML_SUFFIXES,
    AudioWriter,
    MidiTimes,
    MidiTrack,
    notice,
    printable_path,
    read_midi,
    read_musicxml,
    read_sound,
    reading_file,
    stream_sound,
    temporary_folder,
)
from antiphon.api.backends.rendering import TimedNote, load_plugins, run_job, transcribe
from antiphon.api.backends.synths import ChannelBends
from antiphon.api.jobs import FileJob, Written, fade_out, is_midi, spell, spell_parameter
from antiphon.offline.plugin_jobs import sounds as render_parts
from antiphon.signal.lyrics import syllables
from antiphon_sing.song import NEURAL, voice_name
from antiphon_sing.texts import texts

# ---- Scores with lyrics: MIDI files and MusicXML to parts, a syllable for each note

MAX_BENDS = 1024
"""Maximum number of bends of a note."""
MAX_LYRIC_DISTANCE = 0.06
"""Maximum beats between a lyric and its note."""


@dataclass(frozen=True, slots=True)
class SungNote:
    """A note of a part: start and end in seconds, number and velocity, and its syllable in the file.

    `bends`: (second, semitones), each from that second on, the first at or before the note's start.
    """

    start: float
    end: float
    number: int
    velocity: float
    syllable: str = ""
    bends: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class SungPart:
    """A part of a score as it is sung. `name`: as in the file; `notes`: in order of their starts."""

    name: str
    notes: tuple[SungNote, ...]

    def onsets(self) -> int:
        """Number of syllables needed: notes that begin together share one."""
        return len({note.start for note in self.notes})

    def lyrics(self) -> str:
        """Text of the part's syllables; "" without any."""
        found = [note.syllable for note in {note.start: note for note in reversed(self.notes)}.values()][::-1]
        if not any(found):
            return ""
        text = ""
        for syllable in found:
            if not syllable or syllable == "-":
                text += "- " if text.endswith(" ") or not text else " - "
            elif syllable.endswith("-"):
                text += syllable
            else:
                text += f"{'' if text.endswith('-') else '-'}{syllable} "
        return text.strip()


def read_score(path: Path, reach: float = 2.0) -> tuple[tuple[SungPart, ...], float]:
    """Reads the parts of a file that have notes, and its length in seconds.

    `reach`: semitones of a full bend, if a MIDI file states none. Raises UsageError: the file is no score or has no
    notes.
    """
    parts, seconds = _read_musicxml_parts(path) if path.suffix.lower() in MUSICXML_SUFFIXES else _midi(path, reach)
    if not parts:
        raise UsageError(f"there are no notes in {printable_path(path)}")
    return parts, max(seconds, *(note.end for part in parts for note in part.notes))


def _midi(path: Path, reach: float) -> tuple[tuple[SungPart, ...], float]:
    song = read_midi(path)
    times = MidiTimes(song.tempo)
    parts = []
    spare = max((track.lyrics for track in song.tracks), key=len, default=())
    for track in song.tracks:
        notes = [note for note in track.notes if note.channel not in song.drums]
        if not notes:
            continue
        own, starts = track.lyrics, {note.start for note in notes}
        if not own and spare and sum(_near(starts, at) for at, _ in spare) >= 0.8 * len(spare):
            own = spare
        found = []
        bends = _bends(track, times, reach)
        for note in notes:
            near = min(own, key=lambda one: abs(one[0] - note.start), default=(0.0, ""))
            text = near[1] if abs(near[0] - note.start) < MAX_LYRIC_DISTANCE else ""
            begin, end = times.seconds(note.start), times.seconds(note.end)
            line = bends.get(note.channel, [])
            first, last = max(0, bisect(line, (begin, math.inf)) - 1), bisect(line, (end, -math.inf))
            found.append(SungNote(begin, end, note.number, note.velocity, text, tuple(line[first:last][:MAX_BENDS])))
        parts.append(SungPart(track.name, tuple(found)))
    return tuple(parts), times.seconds(song.length)


def _near(starts: Iterable[float], at: float) -> bool:
    return any(abs(at - start) < MAX_LYRIC_DISTANCE for start in starts)


def _bends(track: MidiTrack, times: MidiTimes, reach: float) -> dict[int, list[tuple[float, float]]]:
    """(second, semitones) of a track's bends, by channel."""
    bends, found = ChannelBends(), dict[int, list[tuple[float, float]]]()
    for control in track.controls:
        if bends.follow(Event(control.kind, 0, control.number, control.value, control.channel), reach):
            at = times.seconds(control.at)
            found.setdefault(control.channel, []).append((at, bends.semitones[control.channel]))
    return found


def _read_musicxml_parts(path: Path) -> tuple[tuple[SungPart, ...], float]:
    with reading_file("a score", path):
        score = read_musicxml(path)
        for what, count in score.unused:
            notice(what, count)
    times = MidiTimes(score.tempo)
    parts = []
    for part in score.parts:
        sung = []
        for note in (note for note in part.notes if note.length and not (note.grace or note.drum)):
            start, end = times.seconds(note.start), times.seconds(note.start + note.length * note.held)
            bends = ((start, note.bend),) if note.bend else ()
            sung.append(SungNote(start, end, note.number, note.velocity, note.syllable, bends))
        if sung:
            parts.append(SungPart(part.name, tuple(sung)))
    return tuple(parts), times.seconds(score.length)


def divide_part(part: SungPart, text: str, most: int) -> Sequence[tuple[str, tuple[SungNote, ...]]]:
    """Divides a part whose text exceeds the limit of a parameter."""
    if len(text) <= most:
        return [(text, part.notes)]
    from antiphon.signal.lyrics import syllables

    starts = sorted({note.start for note in part.notes})
    found, words, done = [], text.split(), 0
    while words:
        count = 1
        while count < len(words) and len(" ".join(words[: count + 1])) <= most:
            count += 1
        while 1 < count < len(words) and words[count] in "-_":
            count -= 1
        piece = " ".join(words[:count])
        last = min(len(starts), done + len(syllables(piece)))
        inside = set(starts[done:last])
        found.append((piece, tuple(note for note in part.notes if note.start in inside)))
        words, done = words[count:], last
    return found


Places = NDArray[np.int_]
HOP = 0.005
"""Seconds between pitch and level values: short relative to a vibrato cycle."""
SEARCH_SEMITONES = 2.5
"""Search range of a note's pitch in semitones: less than the distance of harmonics, more than any vibrato."""
PERIODIC = 0.5
"""Minimum correlation of successive periods for a pitch."""
PERIODS = 2.5
"""Number of periods compared."""
_BATCH_SIZE = 128
"""Hops per batch: a note may be as long as the recording, and memory is bounded."""
SMOOTH = 5
"""Length in hops of the median filter over pitches."""
LEVEL_SECONDS = 0.05
"""Window in seconds of the levels: longer than a period of the lowest voice, shorter than a consonant's gap."""
MOST, LEAST = 8.0, 0.06
"""Gain limits of level following: 18 dB up, 24 down, so that consonants before a beat are not lost."""


def note_pitches(sound: F32, rate: int, start: float, end: float, number: int) -> list[tuple[float, float]]:
    """Returns the pitch contour within a note, from peaks of the normalised autocorrelation around the note's period.

    It has (second, semitones from the note) every `HOP` where the sound is periodic. `number`: MIDI number.
    """
    period = rate / (440.0 * 2.0 ** ((number - 69) / 12.0))
    low, high = int(period * 2.0 ** (-SEARCH_SEMITONES / 12.0)), int(period * 2.0 ** (SEARCH_SEMITONES / 12.0)) + 2
    window = round(PERIODS * period)
    times = np.arange(start, end, HOP)
    at = np.round(times * rate).astype(int) - (window + high) // 2
    inside = (at >= 0) & (at + window + high < len(sound))
    if not inside.any():
        return []
    places = at[inside]
    parts = [_peaks(sound, places[n : n + _BATCH_SIZE], window, low, high) for n in range(0, len(places), _BATCH_SIZE)]
    lags, peak = (np.concatenate(values) for values in zip(*parts, strict=True))
    semitones = 12.0 * np.log2(period / lags)
    periodic = peak > PERIODIC
    if periodic.sum() < SMOOTH:
        return []
    held = semitones[periodic]
    padded = np.pad(held, SMOOTH // 2, mode="edge")
    smooth = np.median(sliding_window_view(padded, SMOOTH), axis=1)
    return list(zip(times[inside][periodic].tolist(), smooth.tolist(), strict=True))


def _peaks(sound: F32, at: Places, window: int, low: int, high: int) -> tuple[F64, F64]:
    """Returns, for each position, the fractional lag in samples and height of the highest peak from `low` to `high`."""
    x = np.stack([sound[n : n + window + high] for n in at]).astype(np.float64)
    lagged = sliding_window_view(x, window, axis=1)[:, low - 1 : high + 1]
    product = np.einsum("nw,nlw->nl", x[:, :window], lagged)
    own = np.sqrt((x[:, None, :window] ** 2).sum(-1) * np.einsum("nlw,nlw->nl", lagged, lagged))
    found = product / np.maximum(own, 1e-9)
    best = found[:, 1:-1].argmax(1) + 1
    rows = np.arange(len(best))
    before, peak, after = found[rows, best - 1], found[rows, best], found[rows, best + 1]
    curve = before - 2.0 * peak + after
    shift = np.where(curve < -1e-12, 0.5 * (before - after) / np.minimum(curve, -1e-12), 0.0)
    return best + low - 1 + np.clip(shift, -0.5, 0.5), peak


def follow_level(sound: Samples, source: F32, rate: int) -> Samples:
    """Scales a sound to the loudness contour of another.

    `sound`: float32 `[channels, n]`. `source`: float32 `[n]`, the sound that gives the level. Returns an array like
    `sound` at the source's mean level, which follows its contour within gains of `LEAST` to `MOST`.
    """
    wanted, own = _levels(source, rate), _levels(sound.mean(0), rate)
    both = (wanted > 0.03 * wanted.max(initial=0.0)) & (own > 0.03 * own.max(initial=0.0))
    if not both.any():
        return sound
    mean = np.sqrt((wanted[both] ** 2).mean() / (own[both] ** 2).mean())
    gain = mean * np.clip(wanted / np.maximum(mean * own, 1e-9), LEAST, MOST)
    frames = np.arange(len(gain)) * HOP * rate
    followed: Samples = sound * np.interp(np.arange(sound.shape[1]), frames, gain).astype(np.float32)
    return followed


def _levels(sound: F32, rate: int) -> F64:
    """RMS over `LEVEL_SECONDS`, every `HOP`."""
    window = np.hanning(round(LEVEL_SECONDS * rate))
    hop = round(HOP * rate)
    power = np.convolve(sound.astype(np.float64) ** 2, window / window.sum(), mode="same")[::hop]
    return np.asarray(np.sqrt(np.maximum(power, 0.0)))


RATE = 48000
CHANNELS = 2
LOOK_AHEAD_MS = 350.0
"""Look-ahead in milliseconds for consonants and word ends on files."""
MAX_LYRICS_LETTERS = 1000
"""Maximum characters of the lyrics of one node."""
VOWEL = "la"
"""Syllable for scores without lyrics."""
GLIDE = 0.015
"""Glide in seconds between notes of a recording, whose own glide is in its pitch contour."""
MAX_SECONDS = 1200.0
"""Maximum length of a recording in seconds."""
BLOCK = 2048


def run(job: FileJob) -> tuple[Written, ...]:
    """Sings a MIDI file or MusicXML, one voice for each track with notes, or the vocal of a recording.

    `settings`: parameters of the node. If they have lyrics, every track sings them, else those of the file. A recording
    keeps its notes, its pitch within them, its loudness and length, and its rate, but at least 44.1 kHz. With `mix` it
    is a song, whose voice `stems` separates. Raises `UsageError`: the file is neither or has no notes; `VoiceError`:
    the voice is not available.
    """
    if is_midi(job.source) or job.source.suffix.lower() in MUSICXML_SUFFIXES:
        job.uses(*job.settings.keys() - {"mix"}, where="on a score")
        if job.settings.get("as"):
            raise UsageError(f"as= is for recordings, and {spell('source')} is a score; say voice=")
        return _sing_parts(job, *read_score(job.source, float(str(job.settings.get("bend", 2.0)))), RATE)
    job.uses(*job.settings.keys() - {"bend"}, where="on a recording")
    try:
        with stream_sound(job.source) as (info, _):
            rate = job.rate_beside(info.rate)
        sound = read_sound(job.source, rate=rate)
    except FileError as error:
        raise UsageError(f"sing takes a score (.mid, .midi, .musicxml, .xml, .mxl) or a recording; {error}") from None
    if sound.samples.shape[1] > MAX_SECONDS * rate:
        raise UsageError(f"{job.source.name} is longer than {MAX_SECONDS / 60:g} minutes; cut it")
    name = voice_name(str(job.settings.get("as") or job.settings.get("voice", "")))
    if name != NEURAL:
        texts().make((VOWEL, name, RATE))  # which voices espeak-ng has its own process alone knows
    lyrics = str(job.settings.get("lyrics", ""))
    if lyrics and not syllables(lyrics):
        raise UsageError("the lyrics have no word")
    mix, backing = str(job.settings.get("mix", "no")), None
    with temporary_folder() as folder:
        sung = job.source
        if mix != "no":
            sung = run_job("stems", job.source, Path(folder) / "voice.wav", {}, {"only": "voice"})
            whole, sound = sound, read_sound(sung, rate=rate)
            backing = whole.samples - sound.samples if mix == "song" else None
        notes = transcribe(sung, Path(folder) / "notes.mid", {})
        parts, _ = read_score(notes)
    source = listening_mono(sound.samples)
    settings = {"vibrato": 0.0, "portamento": GLIDE, **job.settings}
    if settings.get("as"):
        settings["voice"] = settings["as"]
    job = replace(job, settings={k: v for k, v in settings.items() if k not in ("as", "mix")})
    return _sing_parts(job, parts, sound.samples.shape[1] / rate, rate, source, backing)


def _sing_parts(
    job: FileJob,
    parts: tuple[SungPart, ...],
    seconds: float,
    rate: int,
    source: F32 | None = None,
    backing: Samples | None = None,
) -> tuple[Written, ...]:
    """Sings parts into `job.target`. `source`: recording for pitch and loudness contours; `backing`: sound to add."""
    voices = []
    for piece, notes in _texts(job, parts):
        timed = [
            TimedNote(round(x.start * rate), round(x.end * rate), x.number, x.velocity, _pitch_contour(x, source, rate))
            for x in notes
        ]
        voices.append(("sing", {**job.settings, "lyrics": piece, "lead": LOOK_AHEAD_MS, "legato": "next"}, timed))
    frames = round(seconds * rate)
    with AudioWriter(job.target, rate, CHANNELS, finish=job.finish.from_notes()) as writer:
        blocks = render_parts(voices, frames, rate, load_plugins(check=False), CHANNELS, job.block)
        if source is not None:
            blocks = _match_source_level(blocks, source, rate)
        for block in fade_out(blocks, rate, job.fade):
            beneath = 0.0 if backing is None else backing[:CHANNELS, writer.frames : writer.frames + block.shape[1]]
            writer.write(block + beneath)
            job.progress(writer.frames / max(1, frames))
    sung = "1 voice" if len(voices) == 1 else f"{len(voices)} voices"
    return (Written.sound(writer, printable_path(job.source), found=(sung,)),)


def _pitch_contour(note: SungNote, source: F32 | None, rate: int) -> tuple[tuple[int, float], ...]:
    """Pitch contour within a note: of a recording, or of a score's bends."""
    if source is None:
        begin = round(note.start * rate) + 1
        return tuple((max(begin, round(at * rate)), semitones) for at, semitones in note.bends)
    found = note_pitches(source, rate, note.start, note.end, note.number)
    return tuple(
        (round(at * rate), semitones) for at, semitones in found if round(at * rate) > round(note.start * rate)
    )


def _match_source_level(blocks: Iterator[Samples], source: F32, rate: int) -> Iterator[Samples]:
    sound = follow_level(np.concatenate([block.copy() for block in blocks], axis=1), source, rate)
    for at in range(0, sound.shape[1], BLOCK):
        yield sound[:, at : at + BLOCK]


def _texts(job: FileJob, parts: tuple[SungPart, ...]) -> Iterator[tuple[str, tuple[SungNote, ...]]]:
    """Returns texts within a node's limit, each with its notes."""
    given = str(job.settings.get("lyrics", ""))
    own = [] if given else [part.lyrics() for part in parts]
    bare = not given and not any(own)
    if bare:
        given = VOWEL
        name = printable_path(job.source.name)
        lyrics = spell_parameter("lyrics", '"twin-kle twin-kle"')
        job.complain(f"there are no lyrics in {name}, which is sung on la; give them: {lyrics}")
    for n, part in enumerate(parts):
        text = given or own[n]
        if not text:
            job.complain(f"the track {part.name or n + 1} has no lyrics and is not sung")
            continue
        count, need = len(syllables(text)), part.onsets()
        if given and count != need and not bare:
            whose = f"{part.name or f'track {n + 1}'}: " if len(parts) > 1 else ""
            what = "the text begins again" if count < need else "the rest is not sung"
            job.complain(f"{whose}{count} syllables for {need} notes; {what}")
        yield from divide_part(part, text, MAX_LYRICS_LETTERS) if count >= need else [(text, part.notes)]
