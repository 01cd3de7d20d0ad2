"""The node `listen` and its worker: what is known of music as it goes on, and beats that come at their time."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from tests import accepted

from antiphon.api import IO, BlockTime, Event, StreamSpec
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon.testing import render
from antiphon_listen import live
from antiphon_listen.live import NextBeats
from antiphon_listen.loudness import LiveLoudness, Loudness
from antiphon_listen.processor import DOWNBEAT, Listen, NoteChords
from antiphon_listen.tests.test_music import RATE, song
from antiphon_listen.worker import Listener

HOP = 1882
"""Frames: 85 ms at this rate, as a hop of the worker is at 48 kHz."""
FIRST = 0.5
"""Seconds at which `song` begins."""
STREAM = StreamSpec(rate=RATE, block=512, channels=1)


def steps(sound: np.ndarray, seconds: float) -> list[tuple[float, np.ndarray]]:
    """(seconds so far, answer) of each hop."""
    listener, out = Listener(RATE, 1), []
    for first in range(0, round(seconds * RATE) - HOP, HOP):
        listener.feed(sound[None, first : first + HOP])
        answer = np.zeros(live.FIELDS, np.float32)
        listener.answer(answer)
        out.append(((first + HOP) / RATE, answer))
    return out


@cache
def followed() -> list[tuple[float, np.ndarray]]:
    return steps(song(96.0), 16.0)


@pytest.mark.parametrize("bpm", [96.0, 100.0])
def test_the_tempo_is_known_four_seconds_after_the_first_note(bpm: float) -> None:
    answers = steps(song(bpm, bars=6), FIRST + 4.5)
    known = [answer for now, answer in answers if now >= FIRST + 4.0]
    assert known
    for answer in known:
        assert answer[live.TEMPO] == pytest.approx(bpm, rel=0.02)


def test_the_next_beat_is_known_within_30_ms_before_it_comes() -> None:
    late = [(now, answer) for now, answer in followed() if now > FIRST + 4.0]
    beats = np.array([now + answer[live.NEXT] for now, answer in late])
    off = (beats - FIRST + 0.3125) % 0.625 - 0.3125
    assert np.abs(off).max() < 0.03
    assert all(0.0 <= answer[live.NEXT] <= 0.64 for _, answer in late)


def test_bars_chord_and_key_are_known_in_a_while() -> None:
    now, answer = followed()[-1]
    number = round((now + answer[live.NEXT] - FIRST) / 0.625)
    assert (answer[live.PLACE], answer[live.METER]) == (number % 4, 4)
    chords = [live.CHORDS[int(a[live.CHORD])] for t, a in followed() if t > FIRST + 2.5]
    truth = [
        ("C:maj", "G:maj", "A:min", "F:maj")[int((t - FIRST - 0.4) / 2.5) % 4] for t, _ in followed() if t > FIRST + 2.5
    ]
    assert np.mean([a == b for a, b in zip(chords, truth, strict=True)]) > 0.7
    assert live.KEYS[int(answer[live.KEY])] == "C major"


Played = list[tuple[float, float, tuple[int, ...]]]


def named(played: Played, chords: NoteChords) -> list[tuple[int, str]]:
    """(sample, chord) of each time that notes of (start, end, numbers) in seconds name one."""
    events = [(round(end * 1000), Event("off", 0, note)) for _, end, notes in played for note in notes]
    events += [(round(start * 1000), Event("on", 0, note, 0.8)) for start, _, notes in played for note in notes]
    out = []
    for now in range(9000):
        for at, event in events:
            if at == now:
                chords.add(event, now)
        if chords.due <= now:
            chords.name(now)
            if chords.named == now / 1000:
                out.append((now, live.CHORDS[chords.chord]))
    return out


def each(step: float, *notes: tuple[int, ...], held: float = 0.0) -> Played:
    """Notes one after another, each as long as its step, or held until a second."""
    return [(n * step, held or (n + 1) * step, numbers) for n, numbers in enumerate(notes)]


def test_notes_name_a_chord_once_its_others_had_time_to_come() -> None:
    """C with a harmonic of its bass, A minor key by key while its G is let go late, a fifth below, a cluster."""
    played: Played = [(0.5, 2.5, (48, 52, 82)), (0.5, 2.6, (55,)), (2.5, 4.5, (45, 60)), (2.55, 4.5, (64,))]
    played += [(4.5, 6.5, (50, 57)), (6.5, 8.5, (60, 61, 62))]
    assert named(played, NoteChords(1000)) == [(560, "C:maj"), (2560, "A:min"), (4560, "D:min")]


SLOW = tuple((note,) for note in (48, 60, 64, 45, 57, 64, 41, 57, 60) * 2)
"""Arpeggios of which one note sounds at a time."""
SCALE = tuple((note,) for note in (60, 62, 64, 65, 67, 69, 71, 72))


def test_what_sounds_together_is_a_chord_and_a_melody_is_none() -> None:
    def chords(played: Played) -> str:
        return " ".join(chord for _, chord in named(played, NoteChords(1000))) or "none"

    accepted.compare_calls(__file__, chords=chords, each=each, SLOW=SLOW, SCALE=SCALE)


def test_chords_are_named_where_the_clock_goes_back() -> None:
    chords = NoteChords(1000)
    for note in (48, 52, 55):
        chords.add(Event("on", 0, note, 0.8), 10**7)
    chords.name(10**7 + 60)
    assert live.CHORDS[chords.chord] == "C:maj"
    assert named([(0.0, 0.0, (48, 52, 55)), (0.5, 1.0, (45, 60, 64))], chords)[-1] == (560, "A:min")


def test_silence_has_no_beat_and_forgets_the_music_before() -> None:
    music = song(96.0)[: 6 * RATE]
    answers = steps(np.concatenate([np.zeros(RATE, np.float32), music, np.zeros(5 * RATE, np.float32)]), 12.0)
    assert not any(answer[live.TEMPO] for now, answer in answers if now < 1.5)
    assert any(answer[live.TEMPO] for now, answer in answers if now < 7.0)
    assert not answers[-1][1][[live.TEMPO, live.CHORD]].any()


def test_noise_has_no_tempo_before_music_and_none_after_it() -> None:
    rng = np.random.default_rng(1)
    before, after = (rng.uniform(-0.5, 0.5, seconds * RATE).astype(np.float32) for seconds in (5, 16))
    answers = steps(np.concatenate([before, song(96.0, bars=3), after]), 5.0 + 7.5 + 16.0)
    assert not any(answer[[live.TEMPO, live.NEXT]].any() for now, answer in answers if now < 5.0)
    assert any(answer[live.TEMPO] for now, answer in answers if 5.0 < now < 13.0)
    assert not answers[-1][1][[live.TEMPO, live.NEXT]].any()


def test_loudness_is_that_of_files() -> None:
    rng = np.random.default_rng(1)
    level = np.repeat([0.1, 0.01, 0.3, 0.003], 4 * 48000)
    sound = (rng.uniform(-1.0, 1.0, (2, len(level))) * level).astype(np.float32)
    live, file = LiveLoudness(48000, 2), Loudness().begin(48000, 2)
    for first in range(0, len(level), 2048):
        live.feed(sound[:, first : first + 2048])
        file.feed(sound[:, first : first + 2048])
    assert live.integrated == pytest.approx(file.result()["loudness"], abs=0.05)
    assert live.momentary == pytest.approx(live.short_term, abs=0.3)
    assert live.integrated - live.momentary > 30.0


def ticks(clock: NextBeats, first: int, last: int, block: int = 64) -> list[int]:
    beats = []
    for start in range(first, last, block):
        while (beat := clock.beat_in_block(start, start + block)) is not None:
            beats.append(beat)
    return beats


def test_each_beat_comes_once_however_often_it_is_estimated() -> None:
    clock, beats = NextBeats(1000), []
    for start in range(0, 4000, 100):
        clock.update(500.0, start - start % 500 + 3.0 * (start % 200 == 0), start // 500 % 4, 4, float(start))
        beats += ticks(clock, start, start + 100, 50)
    assert len(beats) == 8
    assert set(np.round(np.diff(beats), -1)) == {500}


def test_a_beat_that_is_over_is_left_out() -> None:
    clock = NextBeats(1000)
    clock.update(500.0, 0.0, 3, 4, 100.0)
    assert ticks(clock, 100, 1100) == [500, 1000]
    assert clock.place == 1


@cache
def rendered(blocks: tuple[int, ...] = (), **settings: Any) -> Any:
    sound = song(96.0, bars=4)[: 8 * RATE]
    return render(Listen(), STREAM, sound[None], settings=settings, blocks=list(blocks) or None)


def ons(result: Any) -> list[tuple[int, int]]:
    return [(event.offset, event.number) for event in result.events if event.kind == "on"]


def test_the_node_plays_the_beats_it_finds() -> None:
    beats = [(at / RATE, number) for at, number in ons(rendered(play="beats")) if at > 4.5 * RATE]
    assert len(beats) == 6
    np.testing.assert_allclose([at for at, _ in beats], FIRST + 0.625 * np.arange(7, 13), atol=0.03)


def test_any_blocks_give_the_same_notes() -> None:
    assert ons(rendered(play="beats")) == ons(rendered((100, 512, 37), play="beats"))


def test_its_chords_end_and_are_those_that_sound() -> None:
    result = rendered(play="chords")
    down: set[int] = set()
    for event in result.events:
        (down.add if event.kind == "on" else down.discard)(event.number)
    assert len(down) in (0, 3)
    notes = [number for at, number in ons(result) if at > 3.5 * RATE]
    assert {number % 12 for number in notes} <= {0, 4, 7, 11, 2, 9, 5}
    assert notes
    assert min(notes) >= 60


def test_the_control_outputs_fall_from_beat_to_beat() -> None:
    result = rendered(play="beats")
    beat = result.audio[0][0]
    after = [at for at, _ in ons(result) if at > 4.5 * RATE]
    np.testing.assert_allclose(beat[after], 0.5, atol=0.01)
    np.testing.assert_allclose(beat[[at + round(0.3125 * RATE) for at in after[:-1]]], 0.25, atol=0.02)
    assert DOWNBEAT in {number for _, number in ons(result)}
    assert result.audio[2][0][4 * RATE :].min() > 0.2, "the loudness of what sounds"


def silent_blocks(node: Listen, frames: int) -> Iterator[IO]:
    """What a prepared node is given in each block of silence."""
    node.prepare(STREAM)
    silence, *outs = (np.zeros((1, STREAM.block), np.float32) for _ in range(5))
    cells = {param.name: ParamCell(param, STREAM.rate, STREAM.block) for param in node.params}
    for block in range(frames // STREAM.block):
        yield IO((silence,), outs, cells, BlockTime(sample=block * STREAM.block), STREAM.block)


def test_what_does_not_change_is_reported_every_two_seconds_alone() -> None:
    node, told = Listen(), 0
    for io in silent_blocks(node, 4 * RATE):
        node.process(io)
        told += "tempo" in io.reports
    assert told == 2


def test_notes_end_where_the_worker_gives_no_answer_any_more() -> None:
    node = Listen()
    emitted: list[str] = []
    for io in silent_blocks(node, 30 * live.HOP):
        if io.time.sample == 0:
            node._known[live.CHORD] = 1.0
            node._update_played_chord(io, 0)
        node.process(io)
        emitted += [event.kind for event in io.events_out]
    assert emitted == ["on"] * 3 + ["off"] * 3
