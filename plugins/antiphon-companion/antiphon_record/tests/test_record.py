"""Node `record`: places, stretching, waiting, sections, at the harness's clock of 120 bpm."""

from dataclasses import replace

import numpy as np
import pytest

from antiphon.api import IO, BlockTime, Event, PluginError, StreamSpec
from antiphon.api.backends.rendering import prepare_processor
from antiphon.testing import check_laws, level, onsets, render, run_processor
from antiphon_record.kernels import STEMS
from antiphon_record.processor import Record
from antiphon_record.tests.made import RATE, put_hits, put_record, put_tone, silence

SPEC = StreamSpec(RATE, 256, 2)
CLOCK = 0.5
"""Seconds of the clock's beat."""


def played(path, seconds, notes=(), **settings):
    out = render(Record(), SPEC, np.zeros((2, round(seconds * RATE)), np.float32), {"file": str(path), **settings}, (),
                 None, notes)  # fmt: skip
    return out.audio[0], out.reports


def hertz(sound):
    window = np.hanning(sound.shape[1])
    power = np.abs(np.fft.rfft(sound[0] * window, 8 * sound.shape[1]))
    return np.argmax(power) * RATE / (8 * sound.shape[1])


def hits(sound):
    """Seconds of the hits: the first samples after silence."""
    return np.array(onsets(sound, 0.05, 4000)) / RATE


def test_at_its_own_pace_it_is_the_record(tmp_path):
    stems = silence(6.0)
    put_tone(stems, "other", 331.0)
    put_tone(stems, "bass", 55.0)
    put_hits(stems, np.arange(1, 11) * 0.5)
    sound, reports = played(put_record(tmp_path / "a.wav", stems), 5.0)
    whole = slice(round(0.1 * RATE), None)
    np.testing.assert_allclose(sound[:, whole], stems.sum(axis=0)[:, : sound.shape[1]][:, whole], atol=3e-4)
    assert reports["bar"] == 3
    assert reports["pace"] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("pace", [0.5, 0.8, 1.25, 1.5])
def test_stretched_it_keeps_pitch_level_and_attacks(tmp_path, pace):
    stems = silence(8.0)
    put_tone(stems, "other", 220.0)
    beat = CLOCK * pace
    at = np.arange(1.0, 7.5, 0.37)
    put_hits(stems, at)
    path = put_record(tmp_path / "a.wav", stems, beat)
    seconds = min(8.0 / pace, 8.0) - 0.5
    tone, _ = played(path, seconds, drums=0.0)
    middle = tone[:, RATE:]
    assert abs(1200.0 * np.log2(hertz(middle[:, : 2 * RATE]) / 220.0)) < 5.0
    levels = [level(middle[:, n : n + 4800]) for n in range(0, middle.shape[1] - 4800, 4800)]
    assert max(abs(one - level(stems[STEMS.index("other")])) for one in levels) < 1.0
    drums, _ = played(path, seconds, other=0.0)
    wanted = at[at / pace < seconds - 0.02] / pace
    np.testing.assert_allclose(hits(drums), wanted, atol=0.003)
    # half of a hit's energy comes within 10 ms of when it did
    for second, source in zip(wanted, at, strict=False):
        ends = [
            np.searchsorted(energy / energy[-1], 0.5)
            for x, start in ((drums, second), (stems[STEMS.index("drums")], source))
            for energy in [np.cumsum(np.square(x[0, round(start * RATE) - 480 : round(start * RATE) + 5000]))]
        ]
        assert abs(ends[0] - ends[1]) < 0.01 * RATE


def test_it_transposes_all_but_the_drums(tmp_path):
    stems = silence(5.0)
    put_tone(stems, "voice", 440.0)
    put_hits(stems, [1.0, 2.0, 3.0])
    path = put_record(tmp_path / "a.wav", stems)
    sound, _ = played(path, 4.0, drums=0.0, transpose=-12.0)
    assert hertz(sound[:, RATE : 3 * RATE]) == pytest.approx(220.0, rel=0.001)
    drums, _ = played(path, 4.0, voice=0.0, transpose=-12.0)
    np.testing.assert_allclose(drums[:, RATE:], stems[1, :, RATE : 4 * RATE], atol=2e-4)


def test_any_blocks_give_the_same_samples(tmp_path):
    stems = silence(3.0)
    put_tone(stems, "other", 331.0)
    put_hits(stems, np.arange(1, 11) * 0.23)
    path = put_record(tmp_path / "a.wav", stems, 0.37)
    check_laws(Record, {"file": str(path), "waits": 1.0})


def test_it_waits_for_the_player_and_goes_on_with_the_next_beat(tmp_path):
    stems = silence(10.0)
    put_tone(stems, "other", 220.0)
    put_hits(stems, np.arange(20) * 0.5)
    path = put_record(tmp_path / "a.wav", stems)
    # a note on each of the first four beats, then after a stop of 3.1 s on beats again
    plays = [0.0, 0.5, 1.0, 1.5, 4.6, 5.1, 5.6]
    notes = [Event("on", round(second * RATE), 60, 0.8) for second in plays]
    drums, _ = played(path, 6.4, notes, waits=2.0, other=0.0)
    # two beats after the last note it stands before the third
    np.testing.assert_allclose(hits(drums)[1:5], [0.5, 1.0, 1.5, 2.0], atol=0.003)
    again = hits(drums)[5:]
    # with the note, and then with the clock, which is .2 of a beat before the notes
    np.testing.assert_allclose(again[:3], [4.6, 5.0, 5.5], atol=0.02)
    tone, reports = played(path, 6.4, notes, waits=2.0, drums=0.0)
    held = [level(tone[:, round(s * RATE) : round((s + 0.1) * RATE)]) for s in (2.3, 3.0, 4.0, 4.4)]
    assert sorted(held, reverse=True) == held
    assert -8.0 < held[0] - level(stems[3]) < 0.0
    assert held[-1] > -40.0
    assert reports["waiting"] == 0.0
    _, stopped = played(path, 4.0, notes, waits=2.0)
    assert stopped["waiting"] == 1.0
    _, never = played(path, 4.0, notes)
    assert never["waiting"] == 0.0


def test_a_section_repeats_from_the_next_bar_without_a_click(tmp_path):
    stems = silence(12.0)
    put_tone(stems, "other", 220.0)
    # two hits a beat tell the chorus from the verse
    put_hits(stems, [*np.arange(0.0, 4.0, 0.5), *np.arange(4.0, 8.0, 0.25), *np.arange(8.0, 12.0, 0.5)])
    path = put_record(tmp_path / "a.wav", stems, sections=[(0, 8, "verse"), (8, 16, "chorus"), (16, 24, "verse")])
    drums, reports = played(path, 13.0, section="Chorus", other=0.0)
    assert reports["bar"] in (3, 4)
    found = hits(drums)
    assert np.median(np.diff(found[found > 1.0])) == pytest.approx(0.25, abs=0.003)
    tone, _ = played(path, 13.0, section="Chorus", drums=0.0)
    step = np.abs(np.diff(tone[0, RATE:]))
    assert step.max() < 1.5 * np.abs(np.diff(stems[3, 0])).max()
    with pytest.raises(PluginError, match=r"a\.wav has no section 'bridge'; it has verse, chorus"):
        played(path, 1.0, section="bridge")


def test_what_gives_nothing_plays_in_its_own_time(tmp_path):
    stems = silence(6.0)
    put_hits(stems, np.arange(14) * 0.4)
    path = put_record(tmp_path / "a.wav", stems, 0.4)
    kept, _ = played(path, 4.0, give=0.0)
    np.testing.assert_allclose(np.diff(hits(kept)), 0.4, atol=0.002)
    led, _ = played(path, 4.0)
    np.testing.assert_allclose(np.diff(hits(led)), CLOCK, atol=0.002)


def test_without_a_recording_it_is_silent_and_one_that_is_not_prepared_is_refused(tmp_path):
    sound = run_processor(Record(), SPEC, np.zeros((2, 1000), np.float32))
    assert not sound.any()
    (tmp_path / "b.wav").write_bytes(b"no sound")
    with pytest.raises(PluginError, match=r"b\.wav is not prepared; antiphon play b\.wav --with-me prepares it"):
        played(tmp_path / "b.wav", 0.1)


class Turntable:
    """A record on a clock that is set; `follows`: the node in whose place it comes."""

    def __init__(self, path, follows=None, **values):
        self.node = Record()
        self.cells = prepare_processor(self.node, SPEC, {"file": str(path), **values})
        self.time, self.reports = BlockTime(), {}
        if follows is not None:
            self.node._old, self.time = follows.node, replace(follows.time)

    def play(self, seconds, note=False, tempo=120.0):
        pieces = []
        for n in range(round(seconds * RATE / 256)):
            self.time.tempo = tempo
            out = np.zeros((2, 256), np.float32)
            self.cells.render(self.time.sample, 256)
            notes = [Event("on", 0, 60, 0.8)] if note and n == 0 else []
            self.node.process(IO((), (out,), self.cells, self.time, 256, events_in=notes, reports=self.reports))
            self.cells.settle(self.time.sample + 256)
            self.time.sample += 256
            self.time.beat += 256 * self.time.beats_per_frame(RATE)
            pieces.append(out)
        return np.concatenate(pieces, axis=1)


@pytest.fixture
def song(tmp_path):
    """Bars that differ by their pitch, 200 Hz and 50 more for each."""
    stems = silence(40.0)
    for bar in range(20):
        part = slice(bar * 2 * RATE, (bar + 1) * 2 * RATE)
        stems[STEMS.index("other"), :, part] = 0.2 * np.sin(2 * np.pi * (200 + 50 * bar) * np.arange(2 * RATE) / RATE)
    return put_record(tmp_path / "a.wav", stems, sections=[(8, 16, "chorus"), (16, 80, "verse")])


def bar_of(sound):
    return round((hertz(sound) - 200.0) / 50.0) + 1


@pytest.mark.parametrize(("stands", "bar"), [(0.4, 2), (4.0, 1)])
def test_after_a_stop_it_goes_on_where_the_player_stopped_and_with_a_late_note_where_it_is(song, stands, bar):
    deck = Turntable(song, waits=4.0)
    deck.play(1.0)
    deck.play(2.5 + stands / 2, note=True)  # on the third beat: it waits at the eighth
    assert deck.reports["waiting"] == 1.0
    assert bar_of(deck.play(0.4, note=True)) == bar


def test_a_jump_of_the_clock_ends_a_wait(song):
    deck = Turntable(song, waits=2.0)
    deck.play(0.1)
    deck.play(0.5, note=True)
    deck.play(2.0)
    assert deck.reports["waiting"] == 1.0
    deck.time.beat = 40.0
    assert bar_of(deck.play(1.0)) == 11
    assert deck.reports["waiting"] == 0.0


def test_from_the_beginning_is_the_first_beat_after_a_false_start_too(song):
    deck = Turntable(song)
    deck.play(1.6)
    deck.time.beat, deck.time.playing = 0.0, False
    deck.play(0.2)
    deck.time.playing = True
    np.testing.assert_allclose(deck.play(0.5)[:, 480:], Turntable(song).play(0.5)[:, 480:], atol=1e-6)


def test_a_jump_of_the_clock_out_of_a_section_returns_to_it_at_the_next_bar(song):
    deck = Turntable(song, section="chorus")
    deck.play(0.5)
    deck.time.beat = 62.0
    assert bar_of(deck.play(0.9)) == 16
    assert bar_of(deck.play(2.0)[:, 24000:]) == 3
    deck.time.beat += 30.0
    deck.play(3.0)
    assert deck.reports["bar"] in (3.0, 4.0)


def test_a_node_in_anothers_place_goes_on_where_that_is(song):
    waits = Turntable(song, waits=2.0)
    waits.play(0.1)
    waits.play(0.5, note=True)
    held = waits.play(2.0)
    again = Turntable(song, waits, waits=2.0, section="verse")
    sound = again.play(0.2)
    assert again.reports["waiting"] == 1.0
    assert bar_of(held[:, -9600:]) == bar_of(sound[:, 2400:]) == 1
    assert level(sound[:, 2400:]) < level(held[:, -9600:])
    # the record's own time, which is not that of the clock
    own = Turntable(song, give=0.0)
    own.play(7.0, tempo=60.0)
    assert bar_of(Turntable(song, own, give=0.0, section="verse").play(0.8)) == 4
    other = put_record(song.with_name("b.wav"), silence(12.0))
    begun = Turntable(other, own, give=0.0)
    begun.play(0.1)
    assert begun.reports["bar"] == 2.0
