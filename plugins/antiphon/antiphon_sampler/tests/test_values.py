"""Notes with values of their own, slices, and loops on the clock."""

import itertools
import json

import numpy as np
import pytest

from antiphon.api import Event
from antiphon.api.backends.rendering import prepare_processor
from antiphon.api.backends.transports import VALUES_BEGIN, note_params
from antiphon.cli.files.render import render
from antiphon.kernel.session.play import FIRST_WORD, value_control_number, word_controller_values
from antiphon.operations.requests import RenderRequest
from antiphon.synths.note_words import word_hash
from antiphon.testing import render as rendered, sound as audio
from antiphon_sampler.loops import onsets, slice_frames
from antiphon_sampler.processor import Sampler
from antiphon_sampler.sounds import sounds_of
from antiphon_sampler.tests.conftest import RATE, SPEC, burst, write
from antiphon_sampler.values import PARAMS

NAMES = [p.name for p in PARAMS]


def played(at, note=None, velocity=1.0, channel=1, old=False, **values):
    """The events of `/node/NAME/play`; `old`: as session logs have them from before words were bytes."""
    yield Event("control", at, VALUES_BEGIN, float(note is not None), channel)
    for name, value in values.items():
        param = PARAMS[NAMES.index(name)]
        number = value_control_number(NAMES.index(name))
        if name == "s" and not old:
            for piece in word_controller_values("s", value):
                yield Event("control", at, FIRST_WORD, piece, channel)
        else:
            place = word_hash(value) if name == "s" else param.to_norm(value)
            yield Event("control", at, number, place, channel)
    yield Event("on", at, 60 if note is None else note, velocity, channel)


def beginnings(y, least=0.5):
    """Frames of the bursts' first frames, which are their loudest."""
    return np.flatnonzero((np.abs(y) > least) & (np.abs(np.concatenate([[0.0], y[:-1]])) < least)).tolist()


def test_the_values_are_the_processors_own_parameters():
    assert note_params(Sampler.params) == PARAMS
    assert all(p.from_norm(p.to_norm(p.default)) == p.default for p in PARAMS if p.kind != "text")


def test_two_notes_on_one_frame_each_have_their_own(play):
    notes = [*played(300, s="bd", n=1, gain=0.5, pan=0.0), *played(300, s="hh", gain=0.25, pan=1.0)]
    y = play(notes, 3000).audio[0]
    scale = np.float32(np.sqrt(2))
    np.testing.assert_allclose(y[0, 300:2200], burst(2)[0, :1900] * 0.5 * scale, atol=1e-6)
    np.testing.assert_allclose(y[1, 300:2200], burst(3)[0, :1900] * 0.25 * scale, atol=1e-6)


def test_a_word_of_another_value_is_no_part_of_the_samples_name(play):
    begin, piece, *rest = played(0, s="hh")
    foreign = Event("control", 0, FIRST_WORD + 1, 0.5, 1)
    wanted = play([begin, piece, *rest], 3000).audio[0]
    np.testing.assert_array_equal(play([begin, piece, foreign, *rest], 3000).audio[0], wanted)
    assert wanted.any()


def test_values_are_for_one_note_and_one_channel_alone(play):
    values = list(played(0, s="hh", speed=-1.0))[:-1]
    notes = [*values, Event("on", 100, 36, 1.0, 2), Event("on", 4000, 60, 1.0), Event("on", 8000, 36, 1.0)]
    y = play(notes, 12000).audio[0][0]
    plain = burst(1)[0, :1900]
    np.testing.assert_allclose(y[100:2000], plain, atol=1e-6)
    np.testing.assert_allclose(y[4000:5900], burst(3)[0, ::-1][:1900], atol=1e-6)
    np.testing.assert_allclose(y[8000:9900], plain, atol=1e-6)


def test_control_can_answer_what_is_not_there(library):
    made = Sampler()
    prepare_processor(made, SPEC, {"library": str(library)})
    words = made.vocabulary["s"]
    assert words[:7] == ("bd", "four", "hh", "oh", "sd", "slow", "tone")
    assert {"kick", "sn", "snare", "ch", "ho"} <= set(words)
    assert "cp" not in words


@pytest.mark.parametrize("word", ["大鼓", "y" * 255])
def test_a_word_plays_its_folder_and_so_does_the_hash_of_an_old_log(play, tmp_path, word):
    others = (word[:-1], "z" + word[1:])
    for n, name in enumerate((word, *others)):
        write(tmp_path / name / "0.wav", burst(n + 1))
    kept = sounds_of(tmp_path, RATE)
    notes = {old: list(played(0, s=word, n=0, old=old)) for old in (False, True)}
    for old in (False, True):
        y = play(notes[old], 2500, library=str(tmp_path)).audio[0][0]
        np.testing.assert_allclose(y[:1900], burst(1)[0, :1900], atol=1e-6)
    both = play([*notes[True], *played(3000, s=others[0])], 5500, library=str(tmp_path)).audio[0][0]
    np.testing.assert_allclose(both[3000:4900], burst(2)[0, :1900], atol=1e-6)
    assert kept.decoded_count == 2


def test_the_trigger_plays_what_stands(play):
    y = play([], 4000, events=[(700, "play", True)], s="bd", n=1).audio[0][0]
    assert not y[:700].any()
    np.testing.assert_allclose(y[700:2600], burst(2)[0, :1900], atol=1e-7)


def test_equal_slices_are_quarters(play):
    y = play([Event("on", 10, 38, 1.0)], 14000, s="four", slice="equal", slices=4).audio[0][0]
    # the first 0.5 ms fade in, for a slice may begin anywhere
    np.testing.assert_allclose(y[10 + 24 : 11900], burst(12, 12000)[0, 24:11890], atol=1e-7)
    assert not y[12010:].any()


def test_onsets_are_found_to_the_millisecond():
    made = np.concatenate([burst(n, 9000 + 700 * n) for n in range(8)], axis=1)
    wanted = np.cumsum([0] + [9000 + 700 * n for n in range(7)])
    found = np.array(onsets(made, RATE))
    assert len(found) == 8
    assert np.abs(found - wanted).max() <= 48
    assert onsets(np.zeros((1, 50), np.float32), RATE) == (0,)
    t = np.arange(2 * RATE) / RATE
    assert onsets((0.5 * np.sin(2 * np.pi * 55 * t))[None].astype(np.float32), RATE) == (0,)


def test_regions_cover_the_sample_and_wrap():
    parts = [slice_frames(1003, (0,), 7, n) for n in range(7)]
    assert parts[0][0] == 0
    assert parts[-1][1] == 1003
    assert all(a[1] == b[0] for a, b in itertools.pairwise(parts))
    assert slice_frames(1003, (0, 400, 700), 0, 4) == (400, 700)
    assert slice_frames(3, (0,), 128, 5) == (0, 1)


def test_a_slice_by_onset_begins_at_the_onset(play):
    y = play([Event("on", 0, 37, 1.0)], 14000, s="four", slice="onsets").audio[0][0]
    np.testing.assert_allclose(y[30:11000], burst(11, 12000)[0, 30:11000], atol=1e-6)


def test_beats_fit_the_sample_to_the_clock_by_its_speed(play):
    # one second of 500 Hz in three beats of half a second: at two thirds of its speed
    y = play([Event("on", 0, 36, 1.0)], 2 * RATE, s="tone", beats=3.0).audio[0][0]
    inside = np.flatnonzero(np.abs(y) > 1e-4)
    assert abs(inside[-1] - 1.5 * RATE) < 40
    spectrum = np.abs(np.fft.rfft(y[5000:65000] * np.hanning(60000)))
    assert abs(np.argmax(spectrum) * RATE / 60000 - 500 / 1.5) < 1.0


@pytest.mark.parametrize("beats", [1.6, 3.0])
def test_onsets_put_apart_keep_the_pitch_and_are_on_the_clock(play, beats):
    y = play([Event("on", 100, 36, 1.0)], 3 * RATE, s="four", beats=beats, stretch="onsets").audio[0][0]
    wanted = [100 + n * beats / 4 * RATE / 2 for n in range(4)]
    # a slice but the first fades in over 0.5 ms: its first loud frame comes a little later
    found = [np.flatnonzero(np.abs(y[round(w) - 5 : round(w) + 60]) > 0.1)[0] - 5 for w in wanted]
    assert max(map(abs, found)) <= 24
    n = min(11000, int(beats / 4 * RATE / 2) - 200)
    at = round(wanted[1])
    np.testing.assert_allclose(y[at + 40 : at + n], burst(11, 12000)[0, 40:n], atol=2e-3)


def test_a_loop_repeats_on_the_clock_until_its_note_ends(play):
    values = {"s": "bd", "beats": 0.5, "loop": True}
    y = play([Event("on", 0, 36, 1.0), Event("off", 40000, 36)], 80000, stretch="onsets", **values).audio[0][0]
    assert beginnings(y) == [12000 * n for n in range(4)]
    cut = play([Event("on", 0, 36, 1.0), Event("on", 30000, 37, 1.0)], 80000, stretch="onsets", cut=2, **values)
    assert beginnings(cut.audio[0][0]) == [0, 12000, 24000, *(30000 + 12000 * n for n in range(5))]


def test_a_patch_plays_messages_from_a_file_of_events(tmp_path):
    at = [4801, 4801, 30000, 60013]
    sent = [["s", "bd"], ["s", "cp", "pan", 0.0], ["s", "rs", "speed", -1.0], ["note", 38, "velocity", 90]]
    lines = [{"sample": n, "address": "/node/drums/play", "args": args} for n, args in zip(at, sent, strict=True)]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, lines)))
    asked = {"out": str(tmp_path / "out.wav"), "events": str(tmp_path / "events.jsonl"), "seconds": 2.0, "tail": 0.0}
    render(RenderRequest("pads", **asked))
    y, _ = audio.read(tmp_path / "out.wav")
    first = [np.flatnonzero(np.abs(y[0, n - 20 :]) > 2e-3)[0] - 20 for n in (4801, 60013)]
    # the samples themselves begin at 0 and rise
    assert all(0 <= late <= 24 for late in first)
    assert np.abs(y[0, 4900:9000]).max() > np.abs(y[1, 4900:9000]).max()


def test_notes_that_were_missed_live_are_missed_in_a_replay(library):
    """The block's marks, given to the part before the same block, leave out the same notes."""
    quiet = np.zeros((2, 3000), np.float32)
    notes = [Event("on", 10, 36, 1.0), Event("on", 10, 38, 1.0), Event("on", 1000, 36, 1.0)]
    marks = []

    class Replayed(Sampler):
        def process(self, io):
            if io.time.sample == 0:
                self.parts[0].recall("missed", 1)
            super().process(io)
            marks.extend(io.marks)

    got = rendered(Replayed(), SPEC, quiet, {"library": str(library)}, notes=notes)
    wanted = rendered(Sampler(), SPEC, quiet, {"library": str(library)}, notes=[notes[0], notes[2]])
    np.testing.assert_array_equal(got.audio[0], wanted.audio[0])
    assert got.reports["missed"] == 1
    assert marks == [("missed", 1)]


def test_the_shortest_loop_is_bounded(play):
    got = play([Event("on", 0, 36, 1.0)], 4000, s="bd", beats=1e-12, loop=True)
    assert got.reports["dropped"] == 0
    assert len(beginnings(got.audio[0][0])) <= 6


def test_a_loop_begins_anew_where_the_clock_jumps(library):
    class Jumps(Sampler):
        def process(self, io):
            io.time.beat += 1e6 if io.time.sample >= 25600 else 0.0
            super().process(io)

    values = {"library": str(library), "s": "bd", "beats": 0.5, "loop": True, "stretch": "onsets"}
    y = rendered(Jumps(), SPEC, np.zeros((2, 40000), np.float32), values, notes=[Event("on", 0, 36, 1.0)]).audio[0][0]
    assert beginnings(y) == [0, 12000, 24000, 25600, 37600]


@pytest.fixture(scope="module")
def groove(tmp_path_factory):
    """Two bars at 90 bpm: a burst on each eighth but one, in a folder of its own; and the beats of the bursts."""
    beats = [n / 2 for n in range(16) if n != 5]
    beat = RATE * 60 // 90
    made = np.zeros((1, 8 * beat), np.float32)
    for n, at in enumerate(beats):
        made[:, round(at * beat) : round(at * beat) + 2000] += burst(30 + n)
    folder = tmp_path_factory.mktemp("groove") / "kit"
    write(folder / "loop" / "0.wav", made)
    return folder, beats


@pytest.mark.parametrize("stretch", ["onsets", "speed"])
def test_a_loop_of_90_bpm_is_in_time_at_120(play, groove, stretch):
    folder, beats = groove
    values = {"library": str(folder), "s": "loop", "beats": 8.0, "loop": True, "stretch": stretch}
    y = play([Event("on", 1000, 36, 1.0)], 1000 + 16 * RATE // 2, **values).audio[0][0]
    wanted = [1000 + round((8 * turn + at) * RATE / 2) for turn in range(2) for at in beats]
    found = [np.flatnonzero(np.abs(y[max(0, at - 40) :]) > 0.25)[0] + max(0, at - 40) for at in wanted]
    off = np.abs(np.array(found) - wanted)
    # onsets: slices fade in over 24 frames, and begin where the burst exceeds a quarter of its peak
    assert off.max() <= (24 if stretch == "onsets" else 2)
    quiet = np.ones(len(y), bool)
    for at in wanted:
        quiet[at - 30 : at + 6000] = False
    assert np.abs(y[quiet]).max() < 0.01
