"""Twelve lines sung: in tune, in time, in words."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from subprocess import CalledProcessError

import numpy as np

from antiphon.api.files import MidiNote, MidiTrack, read_sound, write_midi
from antiphon.api.jobs import FileJob
from antiphon.kernel.runtime import extras
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Example, MetricValue
from antiphon_models.sing.judges import Sound, Sung, Tracker, WordJudge, rises
from antiphon_models.sing.lines import OTHERS, SUNG, SungLine, plain
from antiphon_models.sing.peers import FESTIVAL, festival, speak, world

log = logging.getLogger("antiphon.sing")
LEAD_IN = 0.5
"""Seconds before the first note."""
SECONDS = 0.05


class Singing(Evaluation):
    """Pitch by swift-f0, vowels' beginnings by their rise, words by pocketsphinx's choice among 50 lines."""

    peer = "espeak-ng with WORLD; festival"
    ours = "neural; espeak"
    oracle = "espeak-ng, spoken"
    columns = "in tune; vowel [ms] ↓; vowel within 50 ms; words"
    note = "Words are a choice among 50 lines: chance is .02. Nothing here measures how natural a voice is."
    card = "antiphon_sing"
    road = "antiphon run sing SCORE.mid OUT.wav -p lyrics=… -p voice=…"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        extras.require("the evaluation sing", ("swift_f0", "pocketsphinx"))
        lines = [*(plain(line.lyrics) for line in SUNG), *OTHERS]
        tracker, listener, missing = Tracker(), WordJudge(lines), _missing()
        for n, line in enumerate(SUNG[: ask.limit]):
            notes = score_of(line)
            for system in self.systems:
                if not ask.wants(system.name) or system.name in missing:
                    continue
                try:
                    sound, rate = _made(system.name, line, notes, ask.work)
                except CalledProcessError:  # festival ends with some rhythms
                    log.warning("%s sings nothing of: %s", system.name, lines[n])
                    continue
                words = float(listener.chooses(sound, rate) == n)
                yield MetricValue(system.name, "words", lines[n], words)
                if system.role == "oracle":
                    continue
                yield MetricValue(system.name, "in tune", lines[n], tracker.in_tune(sound, rate, notes))
                late = np.abs(rises(sound, rate, notes))
                if len(late):
                    yield MetricValue(system.name, "vowel", lines[n], 1000.0 * float(np.median(late)))
                    yield MetricValue(system.name, "vowel within 50 ms", lines[n], float((late <= SECONDS).mean()))

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        for line in SUNG[: ask.limit]:
            notes = score_of(line)
            for system in self.systems:
                if ask.wants(system.name) and system.name not in _missing():
                    sound, rate = _made(system.name, line, notes, ask.work)
                    yield Example(plain(line.lyrics), system.name, sound, rate)


def score_of(line: SungLine) -> list[Sung]:
    """The notes of a line in seconds."""
    beats = [float(beat) for beat in line.beats.split()]
    starts = LEAD_IN + np.concatenate([[0.0], np.cumsum(beats)]) * 60.0 / line.bpm
    return [Sung(float(a), float(b), int(n)) for a, b, n in zip(starts, starts[1:], line.notes.split(), strict=False)]


def _missing() -> set[str]:
    """The peers that are not installed."""
    there = {"espeak-ng with WORLD": find_spec("pyworld"), "festival": which(FESTIVAL)}
    return {name for name, found in there.items() if found is None}


def _made(system: str, line: SungLine, notes: list[Sung], work: Path) -> tuple[Sound, int]:
    peers: dict[str, Callable[[], tuple[Sound, int]]] = {
        "espeak-ng, spoken": lambda: speak(plain(line.lyrics)),
        "espeak-ng with WORLD": lambda: world(plain(line.lyrics), notes),
        "festival": lambda: festival(line.lyrics, notes),
    }
    return peers[system]() if system in peers else sing_line(system, line, notes, work)


def sing_line(voice: str, line: SungLine, notes: list[Sung], work: Path) -> tuple[Sound, int]:
    """The line by `antiphon run sing`."""
    from antiphon_sing.jobs import run

    work.mkdir(parents=True, exist_ok=True)
    source, target = work / "sing.mid", work / f"sing-{voice}.wav"
    beats = line.bpm / 60.0
    written = [MidiNote(n.start * beats, (n.end - n.start) * beats, n.number) for n in notes]
    write_midi(source, [MidiTrack("voice", tuple(written))], line.bpm)
    run(FileJob("sing", source, target, {"lyrics": line.lyrics, "voice": voice}, block=2048))
    sound = read_sound(target)
    return sound.samples[0], sound.rate
