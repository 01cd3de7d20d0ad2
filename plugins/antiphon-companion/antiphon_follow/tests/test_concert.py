"""A score in the node: the other parts and the clock, with a player by notes and by ear, in a rendered patch."""

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from antiphon.api import F64, StreamSpec
from antiphon.api.backends.files import MidiNote, MidiTrack, write_midi
from antiphon.api.backends.rendering import load_plugins
from antiphon.api.backends.transports import Play, Sample, SetParam
from antiphon.kernel.contract.event import Event
from antiphon.kernel.graph.graph import Graph, NodeSpec, Wire
from antiphon.kernel.graph.plan import Plan
from antiphon.offline.player import FilePlayer
from antiphon_follow.concert import LEAST_A_BLOCK, ScorePlayer
from antiphon_follow.score import read_followed
from antiphon_follow.score_follower import ScoreFollower
from antiphon_follow.sound_notes import SoundNote
from antiphon_follow.tests.test_follow import BLOCK, RATE, SWELL, beats_of, errors

pytestmark = pytest.mark.slow


def concert(
    tmp_path: Path,
    played: list[tuple[float, int, float]],
    seconds: float,
    *turns: SetParam,
    heard: bool = False,
    loudspeaker: float = 0.0,
    rests: range = range(0),
    shared: bool = False,
    repeats: bool = False,
) -> Any:
    """(seconds, number) of the other part's notes, and (seconds, beat, tempo) of the clock. `heard`: in sound.

    `loudspeaker`: gain of the other part beside the player, 30 ms late. `rests`: beats of the player. `shared`: the
    other part has the player's notes. `repeats`: it has one of them each .125 s.
    """
    score, loaded = tmp_path / "score.mid", load_plugins(check=False)
    solo = tuple(MidiNote(float(n), 0.9, 60 + (5 * n) % 12) for n in range(32) if n not in rests)
    other = tuple(MidiNote(n / 2.0, 0.4, 36 + n % 12) for n in range(64))
    if repeats:
        other = tuple(MidiNote(n / 4.0, 0.2, 67) for n in range(128))
    write_midi(score, [MidiTrack("Solo", solo), MidiTrack("Bass", solo if shared else other, 1)], 120.0)
    graph = Graph((NodeSpec("follow", "follow", {"drive": "beat", "score": str(score)}),))
    sound = np.zeros((2, round(seconds * RATE) + RATE), np.float32)
    if heard:
        graph = replace(
            graph, wires=(Wire(graph.end("in", "out", loaded.catalog), graph.end("follow", "in", loaded.catalog)),)
        )
        for at, key, loud in played:
            tone = plucked(440.0 * 2.0 ** ((key - 69) / 12.0), 0.1 * loud)
            sound[:, round(at * RATE) :][:, : len(tone)] += tone[: sound.shape[1] - round(at * RATE)]
    commands = [
        Play("", Event("on", 0, key, loud), Sample(round(at * RATE))) for at, key, loud in ([] if heard else played)
    ]
    runner = FilePlayer(graph, loaded.catalog, loaded.make, StreamSpec(RATE, BLOCK, 2), 120.0, [*commands, *turns])
    begun: list[tuple[float, int]] = []
    rows: list[tuple[float, float, float]] = []

    def listen(plan: Plan, x: object, y: object, sample: int) -> None:
        events = [event for _, found in plan.emitted_events(-1) for event in found]
        others = [((sample + e.offset) / RATE, e.number) for e in events if e.kind == "on" and e.channel != 1]
        begun.extend(others)
        for at, key in others if loudspeaker else ():
            tone = plucked(440.0 * 2.0 ** ((key - 69) / 12.0), 0.07 * loudspeaker)
            sound[:, round((at + 0.03) * RATE) :][:, : len(tone)] += tone[: sound.shape[1] - round((at + 0.03) * RATE)]
        rows.append((sample / RATE, runner._player.time.beat, runner._player.time.tempo))

    runner.listener = listen
    for first in range(0, round(seconds * RATE), BLOCK):
        runner.run(sound[:, first : first + BLOCK])
    assert runner.failures == []
    runner.close()
    return begun, np.array(rows)


def plucked(hertz: float, loud: float) -> F64:
    """A tone of half a second with five partials."""
    time = np.arange(RATE // 2) / RATE
    waves = sum(np.sin(2.0 * np.pi * k * hertz * time) / k for k in range(1, 6))
    return np.asarray(loud * waves * np.exp(-6.0 * time))


def solo_of(beats: F64, first: int = 0) -> list[tuple[float, int, float]]:
    return [(float(at), 60 + (5 * (first + n)) % 12, 0.7) for n, at in enumerate(beats)]


def test_the_other_parts_and_the_clock_have_the_player_s_rubato(tmp_path: Path) -> None:
    beats = beats_of(SWELL[:31])
    begun, rows = concert(tmp_path, solo_of(beats), float(beats[-1]) + 1.0)
    near = [min(abs(at - beat) for at, _ in begun) for beat in beats]
    assert np.median(near) < 0.015
    assert np.quantile(near, 0.9) < 0.06
    assert [number for _, number in begun[:20]] == [36 + n % 12 for n in range(20)]
    assert np.median(np.abs(errors(rows, beats, 5.0))) < 0.06


def test_a_player_without_keys_is_accompanied_by_what_is_heard(tmp_path: Path) -> None:
    beats = beats_of(SWELL[:31])
    begun, rows = concert(tmp_path, solo_of(beats), float(beats[-1]) + 1.0, heard=True)
    near = [min((at - beat for at, _ in begun), key=abs) for beat in beats[2:]]
    assert abs(np.median(near)) < 0.03
    assert np.quantile(np.abs(near), 0.9) < 0.12
    assert begun[0][0] < beats[1] + 0.3
    later = begun[2][1] - 36
    assert [number for _, number in begun[2:18]] == [36 + n % 12 for n in range(later, later + 16)]
    assert np.median(np.abs(errors(rows, beats, 5.0))) < 0.12


@pytest.mark.parametrize("repeats", [False, True])
def test_the_other_parts_from_the_loudspeakers_are_no_player(tmp_path: Path, repeats: bool) -> None:
    rests = range(8, 16)
    beats = beats_of(np.full(23, 120.0))
    solo = [note for n, note in enumerate(solo_of(beats)) if n not in rests]
    without, with_them = (
        concert(tmp_path, solo, float(beats[-1]) + 2.0, heard=True, rests=rests, loudspeaker=gain, repeats=repeats)[0]
        for gain in (0.0, 0.1)
    )
    assert [number for _, number in with_them] == [number for _, number in without]
    off = np.array([at for at, _ in with_them]) - [at for at, _ in without]
    assert np.quantile(np.abs(off), 0.9) < 0.03


def test_a_part_that_shares_the_player_s_notes_does_not_lead_itself(tmp_path: Path) -> None:
    beats = beats_of(np.full(7, 120.0))
    begun, _ = concert(tmp_path, solo_of(beats), float(beats[-1]) + 4.0, heard=True, shared=True, loudspeaker=0.1)
    assert begun[-1][0] < beats[-1] + 0.8


def test_the_other_parts_wait_and_go_to_the_bar_that_is_asked_for(tmp_path: Path) -> None:
    beats = beats_of(np.full(7, 120.0))
    at = float(beats[-1]) + 5.0
    turns = [
        SetParam("follow", "from", 5.0, when=Sample(round((at - 1.0) * RATE))),
        SetParam("follow", "start", 1.0, when=Sample(round((at - 1.0) * RATE))),
    ]
    later = [(second + at - 0.5, key, loud) for second, key, loud in solo_of(beats_of(np.full(3, 120.0)), 16)]
    begun, _ = concert(tmp_path, solo_of(beats) + later, at + 1.8, *turns)
    assert not [one for one in begun if beats[-1] + 1.0 < one[0] < at - 0.01], "it waits"
    assert [number for second, number in begun if second > at - 0.01][:4] == [36 + n % 12 for n in range(32, 36)]


def turn_of(concert: ScorePlayer, at: float) -> int:
    """Blocks until all notes that came are taken; none takes more than it has time for."""
    step, taken, blocks = concert.follower._step, [], 0
    concert.follower._step = lambda *given: taken.append(1) or step(*given)
    while concert._heard or concert.follower.behind:
        del taken[:]
        concert.play(SimpleNamespace(frames=256, events_in=[], emit=lambda event: None), at, 0.0)
        assert len(taken) <= LEAST_A_BLOCK
        blocks += 1
    concert.follower._step = step
    return blocks


def test_many_notes_at_once_are_taken_in_the_time_of_a_block_each_at_its_own(tmp_path: Path) -> None:
    rng, path = random.Random(1), tmp_path / "a.mid"
    onsets = [sorted(rng.sample(range(48, 80), 4)) for _ in range(24)]
    rows = [(n, key) for n, row in enumerate(onsets) for key in row]
    write_midi(path, [MidiTrack("Solo", tuple(MidiNote(float(n), 0.9, key) for n, key in rows))])
    concert, alone = ScorePlayer(path, "", RATE), ScoreFollower(read_followed(path))
    for n in range(12):
        # no beginning is among the first, then comes one
        wrong = [(0.5 * n + 0.001 * k, rng.randrange(30, 44)) for k in range(12)] if n < 4 else []
        for at, key in [*wrong, *((0.5 * n, key) for key in (onsets[n - 4] if n >= 4 else ()))]:
            alone.hear(at, key)
            concert.hear(SoundNote(at, key))
        assert turn_of(concert, 0.5 * n + 0.1) <= 3
        assert concert.follower.position_at(0.5 * n) == alone.position_at(0.5 * n)
    assert (alone.begun, alone.onset) == (True, 7)
    concert.clear()
    begun = [(0.5 * n, key) for n, key in rows[:20]]
    concert.follower._entry = SimpleNamespace(take=lambda at, key: (0, begun), reset=lambda *places: None)
    concert.hear(SoundNote(2.0, 60))
    assert turn_of(concert, 2.1) == 6
    assert concert.follower.onset == 4


def test_a_voice_an_octave_below_is_followed_note_by_note() -> None:
    player = ScorePlayer(Path(__file__).parents[4] / "library" / "ode.musicxml", "", RATE)
    tune = [one.numbers[0] for one in player.follower.onsets[:12]]
    assert any(first == second for first, second in pairwise(tune)), "repeated notes are in it"
    places = []
    for n, number in enumerate(tune):
        player.hear(SoundNote(1.0 + 0.6 * n, number - 12))
        for block in range(8):
            io: Any = SimpleNamespace(events_in=(), frames=BLOCK, emit=lambda event: None)
            player.play(io, 1.17 + 0.6 * n + block * BLOCK / RATE, 0.0)
        places.append(player.follower.onset)
    assert places[4:] == [*range(4, 12)]
