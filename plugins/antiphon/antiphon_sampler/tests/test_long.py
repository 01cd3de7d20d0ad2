"""Samples of over half a minute: read from disk while they play."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from tests.waiting import until

from antiphon.api import Event, StreamSpec
from antiphon.files.decode import KeptDecoder
from antiphon.testing import render
from antiphon_sampler import processor as processors, sounds
from antiphon_sampler.processor import Sampler
from antiphon_sampler.samples import HEAD, PAGE, SLOTS, STREAMS, LongSample, PageStreams, StreamWord, decode, page_range
from antiphon_sampler.sounds import PageReader, sounds_of
from antiphon_sampler.tests.conftest import RATE, on, sine
from antiphon_sampler.voices import CUT

LONG = 34 * RATE
SHORT = 10 * PAGE + 5000
"""Frames of a sample that is long where `MAX_MEMORY_SECONDS` is a second: 3.5 s."""
SPEC = StreamSpec(RATE, 512, 2)


@pytest.fixture(scope="module")
def noise():
    """Over half a minute of noise in stereo, as 16-bit numbers hold it."""
    made = np.random.default_rng(9).integers(-9000, 9000, (2, LONG))
    return (made / 32768.0).astype(np.float32)


@pytest.fixture(scope="module")
def minute(tmp_path_factory, noise):
    made = tmp_path_factory.mktemp("minute") / "kit"
    (made / "bed").mkdir(parents=True)
    soundfile.write(made / "bed" / "0.wav", noise.T, RATE, subtype="PCM_16")
    return made


@pytest.fixture
def folder(tmp_path, noise, monkeypatch):
    """A folder of samples of 4 s which count as long: noise, other noise in FLAC, and a sine of 220 Hz."""
    monkeypatch.setattr(sounds, "MAX_MEMORY_SECONDS", 1.0)
    made = tmp_path / "kit"
    for name in ("a", "b", "tone"):
        (made / name).mkdir(parents=True)
    soundfile.write(made / "a" / "0.wav", noise[:, :SHORT].T, RATE, subtype="PCM_16")
    soundfile.write(made / "b" / "0.flac", noise[:1, SHORT : 2 * SHORT].T, RATE, subtype="PCM_16")
    soundfile.write(made / "tone" / "0.wav", sine(SHORT, 220.0).T, RATE, subtype="FLOAT")
    return made


@pytest.fixture
def live(monkeypatch):
    """Renders as the engine plays: pages are read between the blocks, as many as `pages` gives for a block."""
    monkeypatch.setattr(PageReader, "start", lambda self: None)
    monkeypatch.setattr(processors, "READY_SECONDS", 300.0)

    def played(notes, frames, pages=lambda block: 99, spec=SPEC, **values):
        class Live(Sampler):
            marks: list = []  # noqa: RUF012

            def process(self, io):
                for _ in range(pages(io.time.sample // spec.block)):
                    if not self._sounds.reader.read_next():
                        break
                super().process(io)
                self.marks += [(io.time.sample // spec.block, *mark) for mark in io.marks]

        made = Live()
        with monkeypatch.context() as within:
            within.setattr(processors, "current_pool", lambda: SimpleNamespace(lockstep=False, patience=float))
            got = render(made, spec, np.zeros((spec.channels, frames), np.float32), values, notes=notes)
        return got, Live.marks

    return played


def test_half_a_minute_streamed_is_the_file_to_the_sample(play, minute, noise):
    got = play([on(777)], LONG + 2000, spec=StreamSpec(RATE, 2048, 2), library=str(minute))
    y = got.audio[0]
    assert got.reports["underruns"] == got.reports["missed"] == got.reports["unreadable"] == 0
    assert not y[:, :777].any()
    end = LONG - round(0.002 * RATE)
    np.testing.assert_array_equal(y[:, 777 : 777 + end], noise[:, :end])
    assert not y[:, 777 + LONG :].any()


def test_begin_and_end_within_and_backwards(play, minute, noise):
    part = play([on(100)], 5 * RATE, s="bed", begin=0.5, end=0.6, library=str(minute)).audio[0]
    first, last = LONG // 2, round(0.6 * LONG)
    np.testing.assert_array_equal(part[:, 124 : 100 + 2 * RATE], noise[:, first + 24 : first + 2 * RATE])
    assert np.flatnonzero(part[0])[-1] - 100 <= last - first
    back = play([on(0)], 3 * RATE, s="bed", speed=-1.0, library=str(minute)).audio[0]
    np.testing.assert_array_equal(back, noise[:, ::-1][:, : 3 * RATE])


@pytest.mark.parametrize("speed", [1.7, -2.3, 16.0])
def test_every_speed_is_that_of_the_sample_in_memory(play, folder, monkeypatch, speed):
    notes = [on(100), Event("bend", 4000, 0, 0.4)]
    streamed = play(notes, 5 * RATE, s="tone", speed=speed, library=str(folder)).audio[0]
    monkeypatch.setattr(sounds, "MAX_MEMORY_SECONDS", 30.0)
    monkeypatch.setattr(sounds, "_sounds", {})
    whole = play(notes, 5 * RATE, s="tone", speed=speed, library=str(folder)).audio[0]
    np.testing.assert_array_equal(streamed, whole)


def test_the_fastest_note_and_bend_miss_no_page_on_files(play, folder):
    """Speed 16, four times as fast by its note, twice by a bend: 128 frames a frame, 262,144 in a block."""
    notes = [Event("bend", 0, 0, 1.0), on(0, 60)]
    values = {"s": "a", "speed": 16.0, "pads": "pitch", "base": 36, "bend": 12.0, "library": str(folder)}
    got = play(notes, 4000, spec=StreamSpec(RATE, 2048, 2), **values)
    assert got.reports["underruns"] == 0
    end = int(np.flatnonzero(got.audio[0][0])[-1])
    assert SHORT / 128 - 200 < end <= SHORT / 128


def test_two_voices_at_once_are_the_sum_of_each(play, folder, noise):
    first, second = noise[:, :SHORT], np.tile(noise[:1, SHORT : 2 * SHORT], (2, 1))
    y = play([on(0, 36), on(9000, 37), on(20000, 36)], 60000 + SHORT, pads="index", library=str(folder)).audio[0]
    wanted = np.zeros((2, 60000 + SHORT), np.float32)
    for at, x in ((0, first), (9000, second), (20000, first)):
        wanted[:, at : at + SHORT] += x
    np.testing.assert_allclose(y[:, : SHORT - 200], wanted[:, : SHORT - 200], atol=1e-7)


def test_live_and_offline_have_the_same_samples_and_a_second_place_is_there_the_second_time(play, live, folder):
    notes = [on(0, 36), on(5000, 37), on(140000, 36)]
    values = {"library": str(folder), "pads": "index", "speed": 1.31}
    got, marks = live(notes, 160000, **values)
    assert got.reports["underruns"] == got.reports["missed"] == 0
    assert got.reports["sounding"] == 1
    np.testing.assert_array_equal(got.audio[0], play(notes, 160000, **values).audio[0])
    assert not marks
    inside = {**values, "begin": 0.6}
    again, marks = live([on(0), on(10000)], 30000, **inside)
    assert again.reports["missed"] == 1
    assert marks == [(0, "missed", 0)]
    np.testing.assert_array_equal(again.audio[0], play([on(10000)], 30000, **inside).audio[0])


def test_a_reader_that_is_too_slow_is_counted_and_its_voice_fades(play, live, folder):
    """The pages in memory are played; before the first that is absent the voice fades out over 3 ms."""
    values = {"library": str(folder), "s": "tone"}
    got, marks = live([on(0)], 6 * PAGE, pages=lambda block: 0, **values)
    assert got.reports["underruns"] == 1
    assert got.reports["sounding"] == got.reports["missed"] == 0
    y = got.audio[0][0]
    end = int(np.flatnonzero(y)[-1])
    fade = round(CUT * RATE)
    assert HEAD * PAGE - SPEC.block - 2 * fade <= end < HEAD * PAGE
    np.testing.assert_array_equal(y[: end - fade], play([on(0)], 6 * PAGE, **values).audio[0][0, : end - fade])
    # a sine of 220 Hz at 0.5 moves by 0.0144 a frame, its fade by 0.0035 more
    assert np.abs(np.diff(y)).max() < 0.019
    assert [mark[1] for mark in marks] == ["underrun"]
    block, _, row = marks[0]

    class Replayed(Sampler):
        def process(self, io):
            if io.time.sample // SPEC.block == block:
                self.parts[0].recall("underrun", row)
            super().process(io)

    quiet = np.zeros((2, 6 * PAGE), np.float32)
    replayed = render(Replayed(), SPEC, quiet, values, notes=[on(0)])
    np.testing.assert_array_equal(replayed.audio[0], got.audio[0])
    assert replayed.reports["underruns"] == 1


def test_a_reader_that_is_late_once_loses_that_voice_alone(live, folder):
    got, _ = live(
        [on(0), on(2 * PAGE)],
        12 * PAGE,
        pages=lambda b: 0 if b < 5 * PAGE // 512 else 99,
        library=str(folder),
        s="tone",
        voices=8,
    )
    assert got.reports["underruns"] == 1
    assert np.abs(got.audio[0][0, 10 * PAGE :]).max() > 0.4


def test_more_long_samples_than_streams_end_the_oldest(live, folder):
    got, _ = live([on(k * 600) for k in range(STREAMS + 4)], 20 * 600, s="a", library=str(folder))
    assert got.reports["sounding"] == STREAMS
    assert got.reports["dropped"] == got.reports["underruns"] == 0
    crowd, _ = live([on(0) for _ in range(64)], 2000, s="a", library=str(folder))
    assert crowd.reports["sounding"] + crowd.reports["dropped"] >= STREAMS
    assert crowd.reports["underruns"] == 0


@pytest.mark.parametrize(
    ("suffix", "subtype", "rate"),
    [
        ("flac", "PCM_16", 44100),
        ("ogg", "VORBIS", RATE),
        ("mp3", "MPEG_LAYER_III", RATE),
        ("mp3", "MPEG_LAYER_III", 44100),
    ],
)
def test_a_part_is_the_same_whatever_was_read_before_it(tmp_path, suffix, subtype, rate):
    path = tmp_path / f"x.{suffix}"
    t = np.arange(5 * rate) / rate
    soundfile.write(path, 0.4 * np.sin(2 * np.pi * (200 * t + 60 * t**2)), rate, subtype=subtype)
    decoder = KeptDecoder(RATE)
    try:
        for at, frames in ((PAGE * 10 - 16, 500), (-16, 5000), (PAGE * 10 - 16, 500), (PAGE * 11, PAGE)):
            decoder.part(path, at, frames)
        there = decoder.part(path, PAGE * 10 - 16, PAGE)
        decoder.close()
        alone = decoder.part(path, PAGE * 10 - 16, PAGE)
        decoder.close()
        pages = [decoder.part(path, n * PAGE, PAGE) for n in range(11)]
    finally:
        decoder.close()
    # an MP3 decoder rounds as the number of its blocks since a jump is even or odd
    least = 1e-6 if suffix == "mp3" else 0.0
    np.testing.assert_allclose(there, alone, atol=least, rtol=0.0)
    np.testing.assert_allclose(pages[10][:, : PAGE - 16], alone[:, 16:], atol=least, rtol=0.0)


def test_another_rate_is_resampled_page_by_page_as_it_would_be_whole(tmp_path):
    t = np.arange(8 * 44100) / 44100
    x = 0.4 * np.sin(2 * np.pi * (100 * t + 600 * t**2))
    soundfile.write(tmp_path / "x.wav", x, 44100, subtype="FLOAT")
    whole, parts = KeptDecoder(RATE), KeptDecoder(RATE)
    try:
        wanted = decode(whole, tmp_path / "x.wav", 30.0).sound[0]
        found = decode(parts, tmp_path / "x.wav", 0.0)
        assert found.sound.shape == (1, 0)
        assert abs(found.frames - len(wanted)) <= 1
        pages = [parts.part(tmp_path / "x.wav", n * PAGE, PAGE)[0] for n in range(-1, 24)]
    finally:
        whole.close()
        parts.close()
    assert not pages[0].any()
    y = np.concatenate(pages[1:])
    np.testing.assert_allclose(y[: found.frames - 1], wanted[: found.frames - 1], atol=2e-6)
    assert not y[found.frames :].any()


@pytest.mark.parametrize("harm", ["nan", "cut"])
def test_what_breaks_in_the_middle_plays_up_to_there_with_one_sentence(play, folder, capsys, harm):
    if harm == "nan":
        x = sine(SHORT, 220.0)
        x[0, 7 * PAGE + 100] = np.nan
        soundfile.write(folder / "tone" / "0.wav", x.T, RATE, subtype="FLOAT")
    else:
        x = np.random.default_rng(2).integers(-9000, 9000, SHORT).astype(np.int16)
        soundfile.write(folder / "tone" / "1.flac", x, RATE)
        (folder / "tone" / "0.wav").unlink()
        data = (folder / "tone" / "1.flac").read_bytes()
        (folder / "tone" / "1.flac").write_bytes(data[: len(data) * 2 // 3])
    got = play([on(0), on(9000)], SHORT, s="tone", library=str(folder))
    assert got.reports["unreadable"] == 1
    assert got.reports["underruns"] == 2
    sounding = np.flatnonzero(got.audio[0][0])
    assert 5 * PAGE < sounding[-1] < SHORT - PAGE
    said = capsys.readouterr().err
    assert said.count("it is not played beyond this place") == 1
    assert "tone/" in said
    assert str(folder) not in said


def test_a_page_that_was_read_for_a_voice_that_has_ended_is_none_of_the_next(tmp_path):
    streams = PageStreams()
    first, second = (LongSample(tmp_path / name, 1, 20 * PAGE) for name in "ab")
    way = page_range(0, 20 * PAGE, 1.0)
    number = streams.open(first, way, 1.0)
    wanted = streams.next_page()
    streams.words[number * StreamWord.SIZE + StreamWord.ON] = 0
    assert streams.open(second, way, 1.0) == number
    streams.put(wanted, lambda sample, page, into: True)
    again = streams.next_page()
    assert (again.sample, again.page) == (second, 0)
    streams.put(again, lambda sample, page, into: True)
    assert streams.next_page().page == 1


def test_further_places_than_memory_holds_are_a_sentence(live, folder, capsys, monkeypatch):
    monkeypatch.setattr(sounds, "MAX_PAGE_BYTES", 1)
    kept = sounds_of(folder, RATE)
    missed = [
        live([on(1000 * n) for n in range(3)], 4000, s="a", library=str(folder), begin=begin)[0].reports["missed"]
        for begin in (0.5, 0.8, 0.9)
    ]
    assert missed == [1, 3, 3]
    said = capsys.readouterr().err
    assert said.count("a/0.wav is not played from further places") == 1
    assert kept.decoded_count == 3


def test_the_thread_reads_ahead_and_ends_with_the_last_node(folder):
    made = sounds_of(folder, RATE)
    made.start()
    made.wait(60.0)
    assert made.complete
    sampler = Sampler()
    sampler.settings["library"] = str(folder)
    streams = processors.SampleVoices(RATE, 4).streams
    made.reader.add(streams)
    sample = made.get(made.place(0, 0, 1.0))
    streams.open(sample, page_range(0, sample.frames, 1.0), 1.0)
    until(lambda: streams.next_page() is None, 5.0, "it is read to its end")
    thread, decoder = made.reader._thread, made.reader._decoder
    assert SLOTS > HEAD
    made = sample = None
    thread.join(30.0)
    assert not thread.is_alive()
    assert decoder._process.pid is None
