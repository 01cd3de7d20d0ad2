"""`mode=chords`: the network's answers, and chords in files and live."""

from functools import cache

import numpy as np
import pytest
import soundfile

from antiphon.api import StreamSpec, UsageError
from antiphon.api.backends.files import read_midi
from antiphon.api.backends.models import OfflineChords, StreamedChords, read_weights
from antiphon.api.jobs import FileJob
from antiphon.testing import render
from antiphon_hum.jobs import run
from antiphon_hum.notes import end_at_repeats
from antiphon_hum.processor import Hum
from antiphon_hum.quantise import FrameNote

PLAYED = (0.5, (48, 55, 64)), (1.5, (45, 57, 60)), (2.5, (50, 66, 69))
FIFTHS = (0.5, (45, 52)), (1.5, (50, 57)), (2.5, (47, 54))


@cache
def plucked(rate: int, played: tuple = PLAYED, seconds: float = 4.0) -> np.ndarray:
    """Struck strings: harmonics that fade, each sooner than the one below."""
    t = np.arange(round(seconds * rate)) / rate
    sound = np.zeros(len(t))
    for start, pitches in played:
        at = np.maximum(t - start, 0.0)
        for pitch in pitches:
            hertz = 440.0 * 2.0 ** ((pitch - 69) / 12)
            for k in range(1, 9):
                fade = np.exp(-at * (2.0 + 0.7 * k)) * (t >= start) * np.minimum(1.0, (at + 1e-4) / 0.002)
                sound += 0.08 / k * np.sin(2 * np.pi * k * hertz * at) * fade * (t < start + 0.9)
    return sound.astype(np.float32)


def test_a_hop_of_a_stream_has_the_layers_answer_to_all_hops_before_it():
    streamed, rng = StreamedChords(read_weights(StreamedChords.model)), np.random.default_rng(1)
    levels = np.concatenate([np.zeros((20, 309)), rng.uniform(0.0, 1.0, (60, 309))]).astype(np.float32)
    for frame in range(20, 80):
        found = streamed._found(levels[frame : frame + 1])
        if frame % 7 == 0:
            wanted = streamed._layers.whole_probabilities(levels[: frame + 1])
            for one, whole in zip(found, wanted, strict=True):
                np.testing.assert_allclose(one, whole[-1 - streamed.later], atol=1e-5)


FRAMES, PITCHES = (44, 60, 130), (24, 27, 34, 36, 43)
NOTES = (
    (0.10266, 0.73973, 0.76900, 0.10389, 0.79248),
    (0.08845, 0.80443, 0.77916, 0.10232, 0.73975),
    (0.57550, 0.11481, 0.09307, 0.79259, 0.08697),
)
ONSETS = (
    (0.28971, 0.92485, 0.93704, 0.22725, 0.94221),
    (0.09764, 0.09549, 0.13015, 0.08522, 0.08246),
    (0.93127, 0.43209, 0.12150, 0.94161, 0.42122),
)
"""Activations of basic-pitch 0.4.0's own ONNX file of the same sound, by onnxruntime."""


def test_answers_are_those_of_the_original() -> None:
    notes, onsets = OfflineChords().window(plucked(22050)[: OfflineChords.whole])
    for found, expected in ((notes, NOTES), (onsets, ONSETS)):
        assert np.abs(found[np.ix_(FRAMES, PITCHES)] - expected).max() < 1e-4


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2)])
def test_chords_of_a_file(tmp_path, rate: int, channels: int) -> None:
    source, target = tmp_path / "in.wav", tmp_path / "out.mid"
    soundfile.write(source, np.tile(plucked(rate)[:, None], (1, channels)), rate, "FLOAT")

    def heard(**settings) -> list[tuple[float, int]]:
        run(FileJob("hum", source, target, {"mode": "chords", **settings}))
        song = read_midi(target)
        return sorted((n.start * 0.5, n.number) for track in song.tracks for n in track.notes)

    found, expected = heard(), [(start, pitch) for start, chord in PLAYED for pitch in chord]
    assert {n for _, n in found} == {n for _, n in expected}
    assert len(found) == len(expected)
    for start, pitch in expected:
        assert min(abs(at - start) for at, n in found if n == pitch) < 0.04
    if channels > 1:
        return
    assert {n for _, n in heard(lowest=62)} == {64, 66, 69}
    heard(bpm=90.0)
    assert read_midi(target).tempo[0][1] == pytest.approx(90.0, abs=1e-3), "120 without it"
    assert "bpm mode=chords" not in Hum.on_files.idle
    with pytest.raises(UsageError, match="quantise moves one voice"):
        heard(quantise="1/16")


def live(sound: np.ndarray, rate: int, sizes=None, **settings):
    processor = Hum()
    x = np.concatenate([sound, np.zeros(rate // 2, np.float32)])[None]
    done = render(processor, StreamSpec(rate, 256, 1), x, {"mode": "chords", **settings}, blocks=sizes)
    processor.close()
    return processor, done.events


@pytest.mark.parametrize(("rate", "chords"), [(48000, 3), (96000, 1)])
def test_a_chord_is_heard_live_within_150_ms(rate: int, chords: int) -> None:
    processor, events = live(plucked(rate, PLAYED[:chords], 1.0 + chords), rate)
    assert processor.latency < 0.15 * rate
    found = [(e.offset / rate, e.number) for e in events if e.kind == "on"]
    for start, chord in PLAYED[:chords]:
        assert sorted(n for at, n in found if start < at <= start + 0.16) == sorted(chord)
    assert len(found) == 3 * chords
    ends = [e.number for e in events if e.kind == "off"]
    assert sorted(ends) == sorted(n for _, n in found)


def test_root_and_fifth_of_a_distorted_guitar_are_heard_live() -> None:
    clipped = (0.3 * np.tanh(14.0 * plucked(48000, FIFTHS, 4.0))).astype(np.float32)
    found = [(e.offset / 48000, e.number) for e in live(clipped, 48000)[1] if e.kind == "on"]
    for start, chord in FIFTHS:  # and the octave below, at which the clipped sound repeats
        heard = {n for at, n in found if start < at <= start + 0.16}
        assert set(chord) <= heard <= {*chord, chord[0] - 12}


def test_live_is_the_same_in_any_blocks_and_silence_has_no_notes() -> None:
    sound = plucked(44100, PLAYED[:2], 2.5)
    whole = live(sound, 44100)[1]
    assert sorted(e.number for e in whole if e.kind == "on") == sorted(n for _, chord in PLAYED[:2] for n in chord)
    assert live(sound, 44100, [64, 200, 256, 17] * 300)[1] == whole
    quiet = 1e-4 * np.random.default_rng(1).standard_normal(44100).astype(np.float32)
    for sound in (np.zeros(44100, np.float32), quiet):
        assert not live(sound, 44100)[1]


def test_of_notes_moved_to_one_number_one_ends_where_the_next_begins() -> None:
    notes = [
        FrameNote(0, 100, 60, 0.5),
        FrameNote(40, 80, 60, 0.6),
        FrameNote(40, 90, 60, 0.7),
        FrameNote(10, 50, 64, 0.5),
    ]
    found = [(note.start, note.end, note.number) for note in end_at_repeats(notes)]
    assert found == [(0, 40, 60), (10, 50, 64), (40, 90, 60)]
