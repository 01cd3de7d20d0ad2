"""`antiphon evaluate identify`: excerpts of a thousand rendered tracks, and of others, through noise, rooms, phones."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api.files import make_folder
from antiphon_models.identify import chromaprint, tracks
from antiphon_models.identify.conditions import CONDITIONS, Sound
from antiphon_models.identify.tracks import RATE, TrackPlan
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue
from antiphon_models.learning.user_commands import command

OTHERS = 15
"""Songs of which the catalogue has another rendering alone."""
UNKNOWN = 500
"""Excerpts of tracks that are not in the catalogue, a quarter of them each clean, in noise, in a room, by phone."""
_UNKNOWN_THROUGH = ("10 s, clean", "10 s, noise 0 dB", "10 s, room", "10 s, phone")
_NEAR = 0.1
"""Seconds by which a place may be off."""
OURS, PEER = "identify", "chromaprint"


@dataclass(frozen=True, slots=True)
class _Answer:
    """name: of the track; "" for unknown.  offset: seconds.  kind: recording or piece, "" where it is not said."""

    name: str
    offset: float = 0.0
    kind: str = ""


class Identifying(Evaluation):
    """Excerpts of songs ending in 8 and of chorales, among 1,000 tracks; songs ending in 9 are unknown."""

    peer = "chromaprint"
    ours = "identify"
    columns = "hit@1; place within 0.1 s; as recording; as piece; false accepts ↓; query [ms] ↓; ingest [× real time]"
    note = (
        "hit@1: the right track is the best of what is accepted. Query and ingest are processor time; "
        "ours with its files, the peer from samples on. The same song with another soundfont is "
        "another track; as recording, as piece: what an answer says that it is. "
        "GSM's codec; rooms of RT60 0.3 to 0.8 s. Renders are no records."
    )
    folders = ("pop909", "jsb", "esc10")
    card = "antiphon_identify"
    road = "`antiphon library add`, `analyse --only fingerprint` and `identify FILE --json`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Figures of all systems, excerpt by excerpt; `limit` is the number of tracks."""
        with tempfile.TemporaryDirectory() as folder:
            yield from self._scores(ask, Path(folder))

    def _scores(self, ask: EvaluationRequest, folder: Path) -> Iterator[MetricValue]:
        plans = tracks.catalogue(ask.data)[: ask.limit]
        systems: dict[str, Callable[[Sound], _Answer]] = {}
        paths = [tracks.render_track(plan, ask.data, ask.work) for plan in plans]
        sounds = [tracks.sound_of(path) for path in paths]
        seconds = sum(map(len, sounds)) / RATE
        names = [plan.name for plan in plans]
        for name, build in ((OURS, _ours), (PEER, _peer)):
            if ask.wants(name) and (name == OURS or not chromaprint.missing()):
                began = _processor_seconds()
                systems[name] = build(folder, paths, sounds)
                took = _processor_seconds() - began
                yield MetricValue(name, "ingest", "all tracks", seconds / took, "catalogue")
            elif ask.wants(name):
                ask.say(f"{PEER}: the program {chromaprint.PROGRAM} is not on this machine (libchromaprint-tools)")
        known = [n for n, plan in enumerate(plans) if tracks.asked_for(plan)]
        for condition in CONDITIONS:
            for turn, number in enumerate(known):
                rng = np.random.default_rng((ask.seed, number))
                excerpt, begin = _excerpt(sounds[number], condition, rng, ask.data, turn)
                for name, run in systems.items():
                    yield from _known(name, run, excerpt, begin, names[number], condition)
        yield from self._unknown(ask, systems, len(plans))
        if ask.wants(OURS):
            yield from self._other_fonts(ask, folder)

    def _other_fonts(self, ask: EvaluationRequest, folder: Path) -> Iterator[MetricValue]:
        """Excerpts of songs of which the catalogue has a rendering with another soundfont alone."""
        songs: dict[str, list[TrackPlan]] = {}
        for plan in filter(tracks.asked_for, tracks.catalogue(ask.data)):
            songs.setdefault(plan.song, []).append(plan)
        pairs = [plans for plans in songs.values() if len(plans) == len(tracks.FONTS)][: ask.limit or OTHERS]
        own, other = ([tracks.render_track(pair[n], ask.data, ask.work) for pair in pairs] for n in (0, 1))
        run = _ours(make_folder(folder / "others"), other, [])
        for number, path in enumerate(own):
            rng = np.random.default_rng((ask.seed, number))
            excerpt, _ = _excerpt(tracks.sound_of(path), "10 s, clean", rng, ask.data, number)
            answer = run(excerpt)
            for kind in ("recording", "piece"):
                yield MetricValue(OURS, f"as {kind}", path.stem, float(answer.kind == kind), "another soundfont")

    def _unknown(
        self, ask: EvaluationRequest, systems: dict[str, Callable[[Sound], _Answer]], known: int
    ) -> Iterator[MetricValue]:
        others = tracks.strangers(ask.data)
        count = UNKNOWN if ask.limit is None else min(UNKNOWN, known)
        for turn in range(count):
            plan: TrackPlan = others[turn % len(others)]
            sound = tracks.sound_of(tracks.render_track(plan, ask.data, ask.work))
            rng = np.random.default_rng((ask.seed, 10_000 + turn))
            excerpt, _ = _excerpt(sound, _UNKNOWN_THROUGH[turn % 4], rng, ask.data, turn)
            for name, run in systems.items():
                yield MetricValue(
                    name, "false accepts", f"{plan.name} {turn}", float(run(excerpt).name != ""), "unknown"
                )


def _excerpt(sound: Sound, condition: str, rng: np.random.Generator, data: Path, turn: int) -> tuple[Sound, float]:
    """A part of a track that is not silent, changed, and where it begins in seconds."""
    seconds, change = CONDITIONS[condition]
    count = round(seconds * RATE)
    longer = round(1.03 * count)
    while True:
        begin = int(rng.integers(0, max(1, len(sound) - longer)))
        part = sound[begin : begin + longer]
        if np.mean(part**2) > 1e-6:
            break
    return change(part, rng, data, turn)[:count], begin / RATE


def _known(
    name: str, run: Callable[[Sound], _Answer], excerpt: Sound, begin: float, truth: str, condition: str
) -> Iterator[MetricValue]:
    began = _processor_seconds()
    answer = run(excerpt)
    took = _processor_seconds() - began
    yield MetricValue(name, "hit@1", truth, float(answer.name == truth), condition)
    yield MetricValue(name, "query", truth, 1000.0 * took, condition)
    if answer.name == truth and answer.kind:
        yield MetricValue(name, "as recording", truth, float(answer.kind == "recording"), condition)
    if answer.name == truth:
        yield MetricValue(name, "place within 0.1 s", truth, float(abs(answer.offset - begin) < _NEAR), condition)


def _processor_seconds() -> float:
    """Of this process and of the programs that it has run, so that a machine's other work does not count."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _ours(folder: Path, paths: Sequence[Path], sounds: Sequence[Sound]) -> Callable[[Sound], _Answer]:
    """A catalogue made by `antiphon library add` and `analyse`, asked by `antiphon library identify`."""
    import soundfile

    root, excerpt = folder / "library", folder / "excerpt.wav"
    command("library", "--root", root, "add", *paths)
    command("library", "--root", root, "analyse", "--only", "fingerprint")

    def run(sound: Sound) -> _Answer:
        soundfile.write(excerpt, sound, RATE, "FLOAT")
        found = json.loads(command("library", "--root", root, "identify", excerpt, "--json"))["matches"]
        return (
            _Answer(Path(found[0]["path"]).stem, float(found[0]["offset"]), found[0]["kind"]) if found else _Answer("")
        )

    return run


def _peer(folder: Path, paths: Sequence[Path], sounds: Sequence[Sound]) -> Callable[[Sound], _Answer]:
    stored = [chromaprint.frames_of(sound) for sound in sounds]

    def run(sound: Sound) -> _Answer:
        found = chromaprint.best_match(stored, chromaprint.frames_of(sound))
        accepted = found.track >= 0 and found.errors < chromaprint.MOST_ERRORS
        return _Answer(paths[found.track].stem, found.offset) if accepted else _Answer("")

    return run
