"""`antiphon run continue IN.mid OUT.mid -p bars=8`: extends a file by some bars; or accompanies it."""

import json
from collections.abc import Mapping

from antiphon.api import FileError, UsageError, Value
from antiphon.api.backends.files import printable_path, write_atomic
from antiphon.api.jobs import FileJob, Written, is_midi
from antiphon_answer.corpus import read_corpus, wish
from antiphon_answer.improviser import Improviser, Planned
from antiphon_answer.melody_file import MelodyFile, read, write
from antiphon_answer.prior import KEYS, installed_prior
from antiphon_answer.processor import Continue
from antiphon_answer.sound_file import continue_sound
from antiphon_answer.together import meter_of, play_along

ANSWER = "ANSWER"
"""Track name of the accompanying answer."""


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes the continued file; a report has the bits of each note, with and without the memory.

    Raises UsageError: OUT is no MIDI file; or, with `audio`, no sound file; or parameters do not go together. Raises
    FileError: a file cannot be read or written, or has no two notes of melody.
    """
    settings = {param.name: job.settings.get(param.name, param.default) for param in Continue.params}
    if settings["audio"]:
        return continue_sound(job, settings)
    if not is_midi(job.target, written=True):
        raise UsageError(f"{job.plugin} writes MIDI: OUT must end in .mid or .midi, or say -p audio=on")
    given = read(job.source)
    along = settings["mode"] != "continue"
    idle = ("pause",) if along and not meter_of(given) else ("pause", "meter")
    job.uses(*(param.name for param in Continue.params if param.name not in idle), where="on this file")
    if along:
        return _with(job, given, settings)
    improviser = Improviser(installed_prior())
    read_corpus(improviser, str(settings["corpus"]))
    wish(improviser, settings)
    improviser.wishes.bar = given.bar
    return _continued(job, given, improviser, settings)


def _continued(
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
        improviser.sounded(note.pitch, note.length)
    # a file's other tracks tell its key, too
    improviser.estimate(4.0 * given.sounds)
    return bits


def _with(job: FileJob, given: MelodyFile, settings: Mapping[str, Value]) -> tuple[Written, ...]:
    """Writes the file with a track of the node's answers to its melody."""
    if "report" in job.beside:
        raise UsageError("--report is of what continues a file: leave out --report, or mode")
    added = play_along(given, settings)
    if not added:
        raise FileError(f"{job.source.name} has too little to answer: nothing would be played with it")
    job.progress(1.0)
    seconds = write(job.target, given, added, ANSWER)
    found = (f"{len(added)} notes of {settings['mode']} in a track {ANSWER}",)
    return (Written(job.target, printable_path(job.source), seconds, found=found),)


def continuation(improviser: Improviser, given: MelodyFile, bars: int, transpose: int = 0) -> list[Planned]:
    """Notes of `bars` bars from the next bar line on."""
    start = given.next_bar
    if not improviser.begin(start, start + bars * given.bar, start + given.bar // 2, turn=False):
        return []
    notes = iter(improviser.draw, None)
    return [note._replace(pitch=min(127, max(0, note.pitch + transpose))) for note in notes]
