"""`antiphon run continue IN.mid OUT.mid -p bars=8`: extends a file, accompanies it, or answers its melody."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from antiphon.api import F64, IO, BlockTime, Event, FileError, Samples, StreamSpec, UsageError, Value
from antiphon.api.backends.analysis import analyse_file
from antiphon.api.backends.files import AudioWriter, printable_path, read_sound, write_atomic
from antiphon.api.backends.rendering import prepare_processor
from antiphon.api.jobs import FileJob, Written, fade_out, is_midi, spell, spell_parameter
from antiphon_answer.improviser import Improviser, PlannedNote
from antiphon_answer.melody_file import MelodyFile, learn_from_folder, read, wish, write
from antiphon_answer.prior import KEYS, installed_prior
from antiphon_answer.processor import Answer, Continue
from antiphon_answer.sounding import SoundAnswer, SoundAnswerSettings

RATE, TEMPO = 4000, 120.0
BLOCK = 512
"""Sample rate and tempo of the run; a file's tempo is irrelevant, since the node counts beats."""
_SIXTEENTH_FRAMES = RATE * 15.0 / TEMPO
"""Frames per sixteenth."""


def meter_of(given: MelodyFile) -> int:
    """Returns the beats of the file's bar; 0 if the node does not support it and keeps the bar of its parameter."""
    return given.bar // 4 if given.bar % 4 == 0 and 2 <= given.bar // 4 <= 7 else 0


def run_on_melody(given: MelodyFile, settings: Mapping[str, Value]) -> list[PlannedNote]:
    """Notes of a node fed with the melody, in the file's slots, up to a turn after its end."""
    node = Answer()
    meter = meter_of(given) or settings["meter"]
    own = {param.name: settings[param.name] for param in node.params if not param.readonly}
    cells = prepare_processor(node, StreamSpec(RATE, BLOCK, 1), {**own, "meter": meter})
    # offs before ons: a note that is struck again has ended
    played = sorted(
        (round(slot * _SIXTEENTH_FRAMES), velocity, note.pitch)
        for note in given.notes
        for slot, velocity in ((note.at, note.velocity), (note.at + note.length, 0.0))
    )
    turn = given.bar * int(str(settings["bars"]))
    # a canon is over a turn later, an answer soon after the turns' end, which may begin with the last bar
    last = given.next_bar + (2 * turn + given.bar // 2 if settings["mode"] == "trade" else turn)
    end = round(last * _SIXTEENTH_FRAMES)
    notes: list[PlannedNote] = []
    sounding: dict[int, tuple[int, float]] = {}
    at = 0
    while at < end:
        size = min(BLOCK, end - at)
        io = IO((), (), cells, BlockTime(at, at / _SIXTEENTH_FRAMES / 4.0, TEMPO, True), size)
        while played and played[0][0] < at + size:
            when, velocity, pitch = played.pop(0)
            io.events_in.append(Event("on" if velocity else "off", when - at, pitch, velocity))
        cells.render(at, size)
        node.process(io)
        cells.settle(at + size)
        for event in io.events_out:
            if (begun := sounding.pop(event.number, None)) is not None:
                notes.append(_planned_note_from_frames(begun, at + event.offset, event.number))
            if event.kind == "on":
                sounding[event.number] = at + event.offset, event.value
        at += size
    notes += [_planned_note_from_frames(begun, end, pitch) for pitch, begun in sounding.items()]
    return sorted(notes)


def _planned_note_from_frames(begun: tuple[int, float], end: int, pitch: int) -> PlannedNote:
    """Note of its start (frame, velocity) and its end frame."""
    at = begun[0] / _SIXTEENTH_FRAMES
    return PlannedNote(round(at), end / _SIXTEENTH_FRAMES - at, pitch, begun[1], at - round(at))


# ---- `antiphon run continue IN.wav OUT.wav -p audio=on`: extends a recording by bars made of its beats

DEFAULT_SLICE_SECONDS = 0.5
"""Length in seconds of a slice if no beats are detected."""
MAX_SECONDS = 1200.0
"""Maximum length of a recording in seconds."""


@dataclass(frozen=True, slots=True)
class RecordedBeats:
    """Beat grid of a recording. beats: seconds.  first: index of beat 0.  period: seconds of one."""

    beats: F64
    first: int
    period: float
    rate: int

    def beat_at(self, frame: int) -> float:
        """Beat of a frame, extrapolated beyond the recording."""
        at, beats = frame / self.rate, self.beats
        inside = float(np.interp(at, beats, np.arange(len(beats))))
        return float(inside + (min(0.0, at - beats[0]) + max(0.0, at - beats[-1])) / self.period - self.first)


def _detect_recorded_beats(job: FileJob, name: str, frames: int, rate: int) -> RecordedBeats:
    """Detected beats of a recording, else one each half second."""
    found = analyse_file(os.fsencode(job.source), ["music"])["music"][1] or {}
    beats = np.array(found.get("beats") or ())
    if len(beats) < 2:
        job.complain(f"no beats were found in {name}: it is cut into slices of half a second, as at 120 bpm")
        beats = np.arange(0.0, frames / rate + DEFAULT_SLICE_SECONDS, DEFAULT_SLICE_SECONDS)
    downbeats = list(found.get("downbeats") or ())
    first = int(np.argmin(np.abs(beats - downbeats[0]))) if len(downbeats) else 0
    return RecordedBeats(beats, first, float(np.median(np.diff(beats))), rate)


def continue_sound(job: FileJob, settings: Mapping[str, Value]) -> tuple[Written, ...]:
    """Writes a recording, then `bars` new bars from its next bar line on, by its detected beats and bars.

    Raises UsageError: it is too long or has no sound. Raises FileError: a file cannot be read or written.
    """
    if is_midi(job.source) or is_midi(job.target, written=True):
        raise UsageError("audio=on continues a recording by its sound; leave it out for MIDI files")
    if settings["mode"] != "continue":
        raise UsageError(f"audio=on continues files; mode {settings['mode']} is for sound that is played live")
    job.uses("audio", "mode", "bars", "meter", "originality", "seed", where="with audio=on on files")
    sound = read_sound(job.source)
    rate, frames, channels = sound.rate, sound.samples.shape[1], sound.samples.shape[0]
    name = printable_path(job.source.name)
    if frames > MAX_SECONDS * rate:
        raise UsageError(f"{name} is longer than {MAX_SECONDS / 60:g} minutes; cut it")
    beats = _detect_recorded_beats(job, name, frames, rate)
    meter, bars = int(str(settings["meter"])), int(str(settings["bars"]))
    start = meter * int(np.ceil(beats.beat_at(frames) / meter - 1e-6))
    end = start + bars * meter
    total = frames + round((end - beats.beat_at(frames)) * beats.period * rate)
    node = SoundAnswer(StreamSpec(rate, BLOCK, channels))
    wishes = SoundAnswerSettings("", bars, meter, 0.5, int(str(settings["originality"])), int(str(settings["seed"])))
    out, silence = np.zeros((channels, BLOCK), np.float32), np.zeros((channels, BLOCK), np.float32)

    def played() -> Iterator[Samples]:
        at, begun = 0, False
        while at < total:
            n = min(BLOCK, total - at, frames - at if at < frames else BLOCK)
            given = sound.samples[:, at : at + n] if at < frames else silence[:, :n]
            beat = beats.beat_at(at)
            tempo = (beats.beat_at(at + n) - beat) / n * rate * 60.0
            if not begun and beats.beat_at(at + n) >= start:
                node.answer(end, int(str(settings["seed"])))
                begun = True
            out[:, :n] = 0.0
            node.advance(given, out[:, :n], BlockTime(at, beat, tempo), wishes=wishes)
            # what sounds of an answer before the recording's end is none of it
            yield given if at < frames else out[:, :n]
            at += n
            job.progress(at / total)

    with AudioWriter(job.target, rate, channels, finish=job.finish) as writer:
        for block in fade_out(played(), rate, job.fade):
            writer.write(block)
    if not node.memory.beat_count:
        job.complain(f"{name} is too soft or has no whole beat: what follows it is silent")
    told = f"{bars} bar{'s' * (bars > 1)} of its {node.memory.beat_count} beats, the first at {beats.beats[0]:.2f} s"
    return (Written.sound(writer, printable_path(job.source), found=(told,)),)


ANSWER = "ANSWER"
"""Track name of the accompanying answer."""


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes the continued file; the report has the surprise in bits of each note, with and without the memory.

    Raises UsageError: OUT is no MIDI file (with `audio`, no sound file), or parameters do not go together. Raises
    FileError: a file cannot be read or written, or has fewer than two notes of melody.
    """
    settings = {param.name: job.settings.get(param.name, param.default) for param in Continue.params}
    if settings["audio"]:
        return continue_sound(job, settings)
    if not is_midi(job.target, written=True):
        out, audio = spell("target"), spell_parameter("audio", "on")
        raise UsageError(f"{job.plugin} writes MIDI: {out} must end in .mid or .midi, or say {audio}")
    given = read(job.source)
    along = settings["mode"] != "continue"
    idle = ("pause",) if along and not meter_of(given) else ("pause", "meter")
    job.uses(*(param.name for param in Continue.params if param.name not in idle), where="on this file")
    if along:
        return _with(job, given, settings)
    improviser = Improviser(installed_prior())
    learn_from_folder(improviser, str(settings["corpus"]))
    wish(improviser, settings)
    improviser.wishes.bar = given.bar
    return _write_continuation(job, given, improviser, settings)


def _write_continuation(
    job: FileJob, given: MelodyFile, improviser: Improviser, settings: Mapping[str, Value]
) -> tuple[Written, ...]:
    """Writes the file with added bars, and the report."""
    bits = _learn(improviser, given, measured="report" in job.beside)
    added = continuation(improviser, given, int(str(settings["bars"])), int(str(settings["transpose"])))
    if not added:
        raise FileError(f"{job.source.name} has too little to go on with: its melody needs two notes at least")
    job.progress(1.0)
    seconds = write(job.target, given, added)
    bars = "1 bar" if settings["bars"] == 1 else f"{settings['bars']} bars"
    key = KEYS[improviser.key]
    found = (
        f"{len(added)} notes added",
        key,
        f"{bars} from beat {given.next_bar / 4 + given.origin:g} on",
    )
    made = (Written(job.target, printable_path(job.source), seconds, found=found),)
    if "report" not in job.beside:
        return made
    report = {"key": key, "from": given.next_bar / 4 + given.origin, "bits": bits}
    write_atomic(job.beside["report"], (json.dumps(report) + "\n").encode())
    return (*made, Written(job.beside["report"], f"the bits of {len(bits)} notes"))


def _learn(improviser: Improviser, given: MelodyFile, *, measured: bool) -> list[tuple[float, float, float]]:
    """Learns the notes; where `measured`, returns beat and bits of each but the first, with and without the memory."""
    bits: list[tuple[float, float, float]] = []
    for n, note in enumerate(given.notes):
        if n and measured:
            both, prior = (improviser.surprise(note.slot, note.pitch, memory=known) for known in (True, False))
            bits.append((round(note.slot / 4 + given.origin, 4), round(both, 3), round(prior, 3)))
        improviser.learn(note.slot, note.pitch, note.velocity, late=note.late)
        improviser.set_length(note.pitch, note.length)
    # a file's other tracks tell its key, too
    improviser.estimate(4.0 * given.sounds)
    return bits


def _with(job: FileJob, given: MelodyFile, settings: Mapping[str, Value]) -> tuple[Written, ...]:
    """Writes the file with an added track of the node's answers to its melody."""
    if "report" in job.beside:
        raise UsageError(f"{spell('report')} is of what continues a file: leave it out, or mode")
    added = run_on_melody(given, settings)
    if not added:
        raise FileError(f"{job.source.name} has too little to answer: nothing would be played with it")
    job.progress(1.0)
    seconds = write(job.target, given, added, ANSWER)
    found = (f"{len(added)} notes of {settings['mode']} in a track {ANSWER}",)
    return (Written(job.target, printable_path(job.source), seconds, found=found),)


def continuation(improviser: Improviser, given: MelodyFile, bars: int, transpose: int = 0) -> list[PlannedNote]:
    """Notes of `bars` bars from the next bar line on."""
    start = given.next_bar
    if not improviser.begin(start, start + bars * given.bar, start + given.bar // 2, turn=False):
        return []
    notes = iter(improviser.draw, None)
    return [note._replace(pitch=min(127, max(0, note.pitch + transpose))) for note in notes]
