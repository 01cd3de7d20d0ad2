"""File job `antiphon run hum IN.wav OUT.wav`: transcribes a voice and plays the notes on a piano, of equal length."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from antiphon.api import PluginError, Samples, UsageError
from antiphon.api.backends.analysis import ListeningMix
from antiphon.api.backends.files import (
    AudioWriter,
    MidiNote,
    MidiTrack,
    format_of,
    printable_path,
    stream_sound,
    write_midi,
)
from antiphon.api.backends.rendering import TimedNote, load_plugins, render_notes
from antiphon.api.jobs import FileJob, Written, check_distinct, fade_out, is_midi, spell, spell_parameter
from antiphon.offline.analyses import separated_file
from antiphon_hum.notes import Transcription, transcribe
from antiphon_hum.quantise import KEYS

ANALYSIS_SHARE = 0.4
"""Share of the progress that the analysis takes."""
VOICE_SHARE = 0.25
"""Share of the analysis's progress that the voice separation of `lead` takes."""
RENDER_BLOCK = 2048
"""Minimum block size in frames for rendering the piano. Block size does not change the samples; this is the fastest."""
UNKNOWN_BPM, TICKS = 120.0, 960
"""Tempo of a MIDI file of notes whose tempo is not known; ticks of its beat."""
POLYPHONY_WARNING = 0.3
"""Mean probability of several voices above which a warning is printed."""


def run(job: FileJob) -> tuple[Written, ...]:
    """Transcribes the source to a sound of the same channels and length, or to a MIDI file of the notes.

    The sound has the source's rate, but at least 44.1 kHz.

    Raises `UsageError` where the options do not go together, `FileError` for files.
    """
    midi_out = job.beside.get("midi-out")
    if midi_out is not None:
        named = [(spell("source"), job.source), (spell("target"), job.target)]
        check_distinct(named, [(spell("midi_out"), midi_out)])
    if is_midi(job.target, written=True):
        if midi_out is not None:
            out, midi = spell("target"), spell("midi_out")
            raise UsageError(f"{out} holds the notes already; leave {midi} out, or name a sound {out}")
        return _notes(job)
    format_of(job.target)
    with stream_sound(job.source) as (info, _):
        rate, channels, subtype = info.rate, info.channels, info.subtype
    own = job.rate_beside(rate)
    with AudioWriter(job.target, own, channels, subtype, job.finish.from_notes()) as writer:
        found = transcribe_file(job, rate)
        notes, frames = found.notes, round(found.frames * own / rate)
        timed = [TimedNote(round(n.start * own / rate), round(n.end * own / rate), n.number, n.velocity) for n in notes]
        blocks = render_notes(
            timed, frames, own, load_plugins(check=False), channels=channels, block=max(RENDER_BLOCK, job.block)
        )
        for block in fade_out(blocks, own, job.fade):
            writer.write(block)
            job.progress(ANALYSIS_SHARE + (1.0 - ANALYSIS_SHARE) * writer.frames / max(1, frames))
        _warn(job, found, f"{writer.name} is silent")
        if midi_out is not None:
            write_notes(midi_out, found, rate, _bpm(job))
    written = replace(Written.sound(writer, printable_path(job.source)), notes=len(notes))
    return (written,) if midi_out is None else (written, _of_notes(job, midi_out, found, rate))


def _notes(job: FileJob) -> tuple[Written, ...]:
    """Writes only a MIDI file."""
    with stream_sound(job.source) as (info, _):
        rate = info.rate
    found = transcribe_file(job, rate)
    _warn(job, found, f"{printable_path(job.target)} holds none")
    write_notes(job.target, found, rate, _bpm(job))
    return (_of_notes(job, job.target, found, rate),)


def _of_notes(job: FileJob, path: Path, found: Transcription, rate: int) -> Written:
    last = max((note.end for note in found.notes), default=0)
    return Written(path, printable_path(job.source), last / rate, notes=len(found.notes))


def _bpm(job: FileJob) -> float:
    return float(job.settings.get("bpm", 0.0))


def _warn(job: FileJob, found: Transcription, nothing: str) -> None:
    """Prints the warnings of a transcription. `nothing`: description of an empty result."""
    name = printable_path(job.source)
    if found.cancelled:
        job.complain(f"{name}: {ListeningMix.CANCELLED}")
    ways = ["use a recording of one voice"]
    ways += [] if job.settings.get("lead") else [f"{spell_parameter('lead', 'on')}, which follows the strongest"]
    ways += [f"{spell_parameter('mode', 'chords')}, which takes several at once"]
    others = ", or ".join(ways)
    if found.struck:
        job.complain(f"{name}: it is a line of plucked or struck notes that ring on; they are found by their attacks")
    elif found.pure:
        job.complain(f"{name}: it is of pure tones, which the default network does not hear; its notes are by mode=yin")
    elif not found.notes:
        yin = spell_parameter("mode", "yin")
        sounds = f": several voices seem to sound at once; {others}; of one electronic tone, {yin}"
        job.complain(f"{name}: no note was found in it; {nothing}{sounds if found.many > POLYPHONY_WARNING else ''}")
    elif found.many > POLYPHONY_WARNING:
        job.complain(
            f"{name}: several voices seem to sound at once and hum transcribes one; {others}, "
            f"since {printable_path(job.target)} holds only part of the notes"
        )
    settings = job.settings
    if summary := describe_transcription(
        found, str(settings.get("key", "auto")), str(settings.get("scale", "off")), _bpm(job)
    ):
        job.complain(f"{name}: {summary}")


def describe_transcription(found: Transcription, key: str, scale: str, bpm: float) -> str:
    """Sentence about detected key and tempo, and about omitted notes; "" for none."""
    parts = []
    if found.key is not None and "auto" in (key, scale):
        parts.append(f"the notes are in {KEYS[found.key[0] + 1]} {found.key[1]}")
    if found.bpm is not None and not bpm:
        parts.append(f"their tempo was found to be {found.bpm:.1f} bpm ({spell_parameter('bpm')} sets another)")
    if found.left:
        left = "one note is" if found.left == 1 else f"{found.left} notes are"
        parts.append(f"{left} left out because no grid line was free (a finer quantise keeps more)")
    return ", ".join(parts)


def transcribe_file(job: FileJob, rate: int) -> Transcription:
    """Returns the notes of the source, in frames at its own `rate`; with `lead` of its separated voice, if possible."""
    if not job.settings.get("lead") or job.settings.get("mode") not in (None, "learned"):
        return _transcribe(job, job.source, rate)
    try:
        with separated_file(job.source, "voice", lambda part: job.progress(VOICE_SHARE * part)) as (voice, _):
            return _transcribe(job, voice, rate, VOICE_SHARE)
    except PluginError as error:
        job.complain(f"{printable_path(job.source)}: the voice is not taken out of what plays with it, since {error}")
        return _transcribe(job, job.source, rate)


def _transcribe(job: FileJob, source: Path, rate: int, done: float = 0.0) -> Transcription:
    """Transcribes a file. `done`: share of the progress so far."""
    passes = [0.0]

    def play(at: int, feed: Callable[[Samples], None]) -> None:
        before, frames = passes[0], 0
        with stream_sound(source, rate=at or None) as (info, blocks):
            for block in blocks:
                feed(block)
                frames += block.shape[1]
                part = frames / (at or info.rate) * info.rate / info.frames if info.frames else 0.0
                job.progress(done + (ANALYSIS_SHARE - done) * min(1.0, before + 0.5 * part))
        passes[0] = min(0.5, before + 0.5)

    return transcribe(play, rate, job.settings)


def write_notes(path: Path, found: Transcription, rate: int, bpm: float) -> None:
    """Writes a MIDI file of one track; `bpm` 0 takes MIDI's default. Raises FileError: the file cannot be written."""
    tempo = found.bpm or bpm or UNKNOWN_BPM
    per_beat = rate * 60.0 / tempo
    first = found.beat * rate
    # a note before the first line would lie before the file; notes are on a line to within a frame
    first = first if all(n.start > first - 1.0 for n in found.notes) else first - per_beat
    first = min(first, 0.0) if found.bpm is None else first
    midi_notes = tuple(
        MidiNote(max(0.0, n.start - first) / per_beat, (n.end - n.start) / per_beat, n.number, n.velocity)
        for n in found.notes
    )
    write_midi(path, [MidiTrack("hum", midi_notes, 0)], tempo, TICKS)
