"""The file job `antiphon run continue IN.mid OUT.mid -p bars=8`: the file, and some bars more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from antiphon.api import FileError, UsageError, Value
from antiphon.api.files import MIDI_SUFFIXES, printable_path, write_atomic
from antiphon.api.jobs import FileJob, Written
from antiphon_answer.improviser import Improviser, Planned
from antiphon_answer.melody_file import MelodyFile, read, write
from antiphon_answer.prior import KEYS, installed_prior

MOST_FILES = 200
"""Of a corpus."""


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes the continued file; a report has how many bits each of its notes takes, with and without the memory.

    Raises:
        UsageError: OUT is no MIDI file.
        FileError: A file cannot be read or written.
    """
    if job.target.suffix.lower() not in MIDI_SUFFIXES:
        raise UsageError(f"{job.plugin} writes MIDI: OUT must end in {' or '.join(MIDI_SUFFIXES)}")
    from antiphon_answer.processor import Answer

    settings = {param.name: job.settings.get(param.name, param.default) for param in Answer.params}
    given = read(job.source)
    improviser = Improviser(installed_prior())
    read_corpus(improviser, str(settings["corpus"]))
    wish(improviser, settings)
    improviser.wishes.bar = given.bar
    bits: list[tuple[float, float, float]] = []
    for n, note in enumerate(given.notes):
        if n and "report" in job.beside:
            both, prior = (improviser.surprise(note.slot, note.pitch, memory=known) for known in (True, False))
            bits.append((round(note.slot / 4 + given.origin, 4), round(both, 3), round(prior, 3)))
        improviser.learn(note.slot, note.pitch, note.velocity)
        improviser.sounded(note.pitch, note.length)
    added = continuation(improviser, given, int(str(settings["bars"])), int(str(settings["transpose"])))
    job.progress(1.0)
    seconds = write(job.target, given, added)
    bars = "1 bar" if settings["bars"] == 1 else f"{settings['bars']} bars"
    key = KEYS[improviser.key]
    found = (f"{len(added)} notes added", key, f"{bars} from beat {given.next_bar / 4 + given.origin:g} on")
    made = (Written(job.target, printable_path(job.source), seconds, found=found),)
    if "report" not in job.beside:
        return made
    report = {"key": key, "from": given.next_bar / 4 + given.origin, "bits": bits}
    write_atomic(job.beside["report"], (json.dumps(report) + "\n").encode())
    return (*made, Written(job.beside["report"], f"the bits of {len(bits)} notes"))


def continuation(improviser: Improviser, given: MelodyFile, bars: int, transpose: int = 0) -> list[Planned]:
    """The notes of `bars` bars from the next bar line on."""
    start = given.next_bar
    added: list[Planned] = []
    if not improviser.begin(start, start + bars * given.bar, start + given.bar // 2):
        return added
    while (note := improviser.draw()) is not None:
        if added and added[-1].slot + added[-1].length > note.slot:
            added[-1] = added[-1]._replace(length=float(note.slot - added[-1].slot))
        added.append(note._replace(pitch=min(127, max(0, note.pitch + transpose))))
    if added:
        # the last one lasts to the bar line
        rest = start + bars * given.bar - added[-1].slot
        added[-1] = added[-1]._replace(length=float(min(rest, given.bar)))
    return added


def wish(improviser: Improviser, settings: Mapping[str, Value]) -> None:
    """Takes over the parameters of `Answer`."""
    wishes = improviser.wishes
    wishes.originality, wishes.register, wishes.seed = (
        int(settings[name]) for name in ("originality", "register", "seed")
    )
    wishes.density, wishes.forget = float(settings["density"]), float(settings["forget"])
    improviser.fixed = KEYS.index(str(settings["key"])) if settings["key"] != "auto" else -1
    if improviser.fixed >= 0:
        improviser.key = improviser.fixed


def read_corpus(improviser: Improviser, folder: str) -> None:
    """Learns the melodies of a folder of MIDI files, for good; files that cannot be read are left out.

    Raises:
        FileError: There is no such folder, or no MIDI file in it.
    """
    if not folder:
        return
    files = list(_midi_files(Path(folder)))
    if not files:
        raise FileError(f"{folder} holds no MIDI files; `corpus` is a folder of them")
    for path in files:
        try:
            given = read(path)
        except FileError:
            continue
        improviser.wishes.bar = given.bar
        for n, note in enumerate(given.notes):
            improviser.learn(note.slot, note.pitch, note.velocity, first=n == 0)
            improviser.memory.lengths[improviser.memory.count - 1] = min(64.0, note.length)
    improviser.keep()


def _midi_files(folder: Path) -> Iterable[Path]:
    if folder.is_dir():
        found = (path for path in sorted(folder.iterdir()) if path.suffix.lower() in MIDI_SUFFIXES)
        yield from (path for _, path in zip(range(MOST_FILES), found, strict=False))
