"""Processors that insist on a rate, a block or channels, in streams that are of another kind."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.pairs import pairwise

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.harness import render, run_processor
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT, EVENTS_IN, EVENTS_OUT, Port
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.errors import PluginError
from antiphon.kernel.graph.rate_adapter import STOP, _filter, adapt
from antiphon.testing import sound as audio

BLOCKS = (1, 32, 64, 65, 128, 256, 2048)
RATES = (44100, 48000, 96000)
INNER_RATES = (16000, 22050, 48000)


class Through(Processor):
    """Passes the sound, `lag` frames late, and keeps what it was called with."""

    inputs = (AUDIO_IN, EVENTS_IN)
    outputs = (AUDIO_OUT, EVENTS_OUT)
    params = (
        Param("level", default=1.0, low=0.0, high=1.0, smooth=0.004),
        Param("raw", default=0.0, low=0.0, high=1.0),
        Param("number", "int", 0, low=0, high=100000000),
        Param("fire", "trigger", False),
    )
    lag = 0

    def prepare(self, spec):
        self.spec, self.latency = spec, self.lag
        self.tail = None
        self.calls, self.curves, self.at, self.fired, self.notes = [], {"level": [], "raw": []}, [], [], []
        self.given, self.samples = [], []

    def reset(self):
        self.prepare(self.spec)

    def process(self, io):
        x, done = io.audio_in[0], sum(self.calls)
        if self.tail is None:
            self.tail = np.zeros((x.shape[0], self.lag), np.float32)
        both = np.concatenate([self.tail, x], axis=1)
        io.audio_out[0][:] = both[:, : io.frames]
        self.tail = both[:, io.frames :].copy()
        self.given.append(x.copy())
        self.at += [io.at("number", n) for n in range(io.frames)]
        for name, kept in self.curves.items():
            kept.append(io.curve(name).copy())
        self.fired += [done + n for n in io.fired("fire")]
        for event in io.events_in:
            self.notes.append((done + event.offset, event.number))
            io.emit(event)
        self.calls.append(io.frames)
        self.samples.append(io.time.sample)


def kind(rate=None, block=None, channels=None, lag=0, **more):
    return type("Kind", (Through,), {"rate": rate, "block": block, "channels": channels, "lag": lag, **more})()


def delayed(x, latency):
    return np.pad(x, ((0, 0), (latency, 0)))[:, : x.shape[1]]


def snr(x, y):
    return audio.level(x) - audio.level(x - y)


def test_a_processor_that_any_stream_suits_is_left_alone():
    spec = StreamSpec(48000, 256, 2)
    for insists in ({}, {"rate": 48000}, {"channels": 2}, {"rate": 48000, "channels": 2}):
        same = kind(**insists)
        assert adapt(same, spec) is same
    wrapped = adapt(kind(block=256), spec)
    assert wrapped.inner.block == 256
    assert (wrapped.inputs, wrapped.outputs, wrapped.params) == (Through.inputs, Through.outputs, Through.params)
    assert wrapped.settings is wrapped.inner.settings
    assert wrapped.rate is wrapped.block is wrapped.channels is None


@pytest.mark.parametrize("bad", [{"rate": 0}, {"rate": 10**9}, {"block": 0}, {"block": 2.5}, {"channels": 1000}])
def test_what_makes_no_sense_is_refused(bad):
    with pytest.raises(PluginError, match="insists on"):
        adapt(kind(**bad), StreamSpec())


@pytest.mark.parametrize("bad", [-1, 1.5, True])
def test_a_latency_that_is_none_is_refused(bad):
    made = adapt(kind(block=64), StreamSpec())
    made.inner.lag = bad
    with pytest.raises(PluginError, match="latency"):
        made.prepare(StreamSpec())


@pytest.mark.parametrize(
    ("block", "inner", "channels"), pairwise(BLOCKS, (1, 64, 65, 256, 2048), ((1, None), (1, 2), (2, 1)))
)
def test_input_comes_out_after_exactly_the_declared_latency(block, inner, channels):
    have, want = channels
    spec = StreamSpec(48000, block, have)
    x = np.tile(audio.noise(300 if block == 1 else 3000 + inner, 1), (have, 1))
    made = adapt(kind(block=inner, channels=want, lag=7), spec)
    y = run_processor(made, spec, x)
    assert made.latency == 7 + inner - 1
    assert set(made.inner.calls) <= {inner}
    assert made.inner.given == [] or made.inner.given[0].shape == (want or have, inner)
    np.testing.assert_array_equal(y, delayed(x, made.latency))


@pytest.mark.parametrize(("block", "rate", "inner_rate"), pairwise(BLOCKS, RATES, INNER_RATES))
def test_another_rate_gives_the_band_back_in_time(block, rate, inner_rate):
    spec = StreamSpec(rate, block, 2)
    frames = 900 if block == 1 else 6000
    lower = min(rate, inner_rate)
    time = np.arange(frames) / rate
    rng = np.random.default_rng(3)
    x = np.zeros((2, frames))
    for hertz in (50.0, 0.1 * lower, 0.33 * lower, 0.44 * lower):
        x += 0.2 * np.sin(2 * np.pi * hertz * time + rng.uniform(0, 6, (2, 1)))
    x = x.astype(np.float32)
    made = adapt(kind(rate=inner_rate), spec)
    y = run_processor(made, spec, x)
    ready = made.latency + 250
    assert made.latency < 0.012 * rate
    if inner_rate == rate:
        assert made.latency == 0
    assert snr(delayed(x, made.latency)[:, ready:], y[:, ready:]) > 60


@pytest.mark.parametrize(
    ("inside", "rate", "inner_rate"),
    pairwise(
        ((None, 0, (2, None)), (None, 1, (2, 1)), (160, 0, (1, 2)), (160, 33, (2, None)), (512, 7, (2, 1))),
        RATES,
        (16000, 22050, 48000, 96000),
    ),
)
def test_the_latency_of_rate_block_and_channels_together_is_measured(inside, rate, inner_rate):
    inner_block, lag, channels = inside
    spec = StreamSpec(rate, 256, channels[0])
    made = adapt(kind(inner_rate, inner_block, channels[1], lag), spec)
    at = 700
    x = np.zeros((channels[0], 8000), np.float32)
    # a band-limited pulse: a Gaussian far below every Nyquist frequency
    x[:] = np.exp(-0.5 * np.square((np.arange(8000) - at) / (0.0003 * rate)))
    y = run_processor(made, spec, x)
    # the delay by least squares: the slope of the phase between what came in and went out
    spectrum = np.fft.rfft(y[0]) * np.conj(np.fft.rfft(x[0]))
    bins = np.arange(1, 12)
    phase = np.unwrap(np.angle(spectrum[bins]))
    measured = -np.sum(phase * bins) / np.sum(bins * bins) * x.shape[1] / (2 * np.pi)
    exact = made.latency
    # an inner latency that is no whole number of frames is rounded up, and the filter makes up for it
    assert measured == pytest.approx(exact, abs=0.01)
    assert np.argmax(y[0]) == at + exact
    if inner_block is not None:
        assert set(made.inner.calls) == {inner_block}


def test_the_filter_stops_80_db_and_passes_flat():
    for source, target in [(48000, 16000), (16000, 48000), (44100, 48000), (96000, 22050)]:
        up = target // np.gcd(source, target)
        half, table = _filter(source, target, int(up))
        # the rows interleave to the prototype, sampled at up times the source's rate
        prototype = table[:, ::-1].T.reshape(-1)
        spectrum = np.abs(np.fft.rfft(prototype, 1 << 19)) / up
        hertz = np.fft.rfftfreq(1 << 19, 1 / (source * up))
        lower = min(source, target)
        assert len(prototype) == 2 * half * up
        assert 20 * np.log10(spectrum[hertz > STOP * lower].max()) < -80
        assert np.abs(20 * np.log10(spectrum[hertz < 0.45 * lower])).max() < 0.01


def test_what_the_inner_rate_cannot_hold_is_silent_and_not_folded_down():
    spec = StreamSpec(48000, 256, 1)
    x = audio.sine(11000, 0.3)
    made = adapt(kind(16000), spec)
    y = run_processor(made, spec, x)
    assert audio.level(y[:, 1000:]) < audio.level(x) - 80


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=12),
    st.sampled_from([None, 16000, 22050, 96000]),
    st.sampled_from([None, 1, 100, 256, 500]),
    st.sampled_from([None, 1, 2, 3]),
    st.lists(st.tuples(st.integers(0, 2999), st.sampled_from(["level", "raw", "number", "fire"])), max_size=8),
    st.booleans(),
)
def test_any_split_of_blocks_gives_the_same_samples(blocks, rate, block, channels, changes, split):
    spec = StreamSpec(44100, 300, 2)
    x, rng = audio.noise(3000, 2), np.random.default_rng(len(changes))
    events = [(n, name, int(rng.integers(0, 2))) for n, name in changes]
    notes = [Event("on", n, n % 128) for n, _ in changes]

    class Louder(Through):
        """All that a parameter can do is heard."""

        def process(self, io):
            super().process(io)
            y = io.audio_out[0]
            y *= io.curve("level") + io.curve("raw")
            y += np.float32([io.at("number", n) for n in range(io.frames)])
            for n in io.fired("fire"):
                y[:, n] += 5.0

    def made():
        return adapt(
            type("Loud", (Louder,), {"rate": rate, "block": block, "channels": channels, "split": split})(), spec
        )

    one = render(made(), spec, x, None, events, blocks, notes)
    other = render(made(), spec, x, None, events, None, notes)
    np.testing.assert_array_equal(one.audio[0], other.audio[0])
    assert one.events == other.events


@pytest.mark.parametrize(
    ("rate", "block"), [(16000, None), (96000, 480), (22050, None), (22050, 333), (None, 480), (None, 1), (96000, 1)]
)
def test_parameters_and_events_arrive_with_the_sound_of_their_frame(rate, block):
    spec = StreamSpec(48000, 256, 1)
    made = adapt(kind(rate, block), spec)
    at = 1111
    events = [(at, "raw", 1.0), (at, "number", 123456), (at, "level", 0.0), (at, "fire", True), (at + 500, "number", 7)]
    done = render(made, spec, np.zeros((1, 4000), np.float32), None, events, [1, 200, 33], [Event("on", at, 60)])
    inner = made.inner
    scale = (rate or 48000) / 48000
    wanted = int(np.ceil(at * scale))
    raw, smooth = (np.concatenate(inner.curves[name]) for name in ("raw", "level"))
    assert inner.notes == [(wanted, 60)]
    assert inner.fired == [wanted]
    assert [e.offset for e in done.events] == [pytest.approx(at + made.latency, abs=1 / min(1.0, scale))]
    numbers = np.array(inner.at)
    assert np.flatnonzero(numbers == 123456)[0] == wanted
    assert np.flatnonzero(numbers == 7)[0] == int(np.ceil((at + 500) * scale))
    assert np.flatnonzero(raw)[0] == wanted
    # a straight line over 4 ms, whatever the inner block
    length = 0.004 * 48000
    frames = np.floor(np.arange(len(smooth)) / scale)
    line = np.clip(1.0 - (frames - at + 1) / length, 0.0, 1.0)
    np.testing.assert_allclose(smooth, np.where(frames < at, 1.0, line), atol=1e-6)


def test_values_set_before_the_first_block_are_there_from_the_first_sample():
    spec = StreamSpec(48000, 64, 1)
    made = adapt(kind(16000, 100), spec)
    render(made, spec, np.zeros((1, 2000), np.float32), {"level": 0.25, "number": 99999999})
    assert np.all(np.concatenate(made.inner.curves["level"]) == 0.25)
    assert set(made.inner.at) == {99999999}


def test_mono_inside_runs_on_the_average_and_goes_to_all():
    spec = StreamSpec(48000, 64, 3)
    x = audio.noise(1000, 3)
    made = adapt(kind(channels=1), spec)
    y = run_processor(made, spec, x)
    assert made.latency == 0
    for channel in y:
        np.testing.assert_allclose(channel, x.mean(axis=0), atol=1e-7)


def test_more_channels_outside_than_inside_are_dropped_and_what_lacks_is_silent():
    x = audio.noise(1000, 3)
    spec = StreamSpec(48000, 64, 3)
    y = run_processor(adapt(kind(channels=2), spec), spec, x)
    np.testing.assert_array_equal(y[:2], x[:2])
    assert not y[2].any()
    made = adapt(kind(channels=4), spec)
    np.testing.assert_array_equal(run_processor(made, spec, x), x)
    assert not made.inner.given[0][3].any()


def test_ports_with_a_number_of_their_own_keep_it():
    class Side(Processor):
        channels = 1
        inputs = (AUDIO_IN, Port("key", channels=2))
        outputs = (AUDIO_OUT, Port("both", channels=2))

        def process(self, io):
            assert [x.shape[0] for x in io.audio_in] == [1, 2]
            io.audio_out[0][:] = io.audio_in[0]
            io.audio_out[1][:] = io.audio_in[1]

    spec = StreamSpec(48000, 64, 2)
    key = audio.noise(500, 2)
    done = render(adapt(Side(), spec), spec, {"in": np.zeros((2, 500), np.float32), "key": key})
    np.testing.assert_array_equal(done.audio[1], key)


def test_a_reset_forgets_all_that_waits():
    spec = StreamSpec(48000, 256, 2)
    made = adapt(kind(16000, 200, 1, 5), spec)
    x = audio.noise(5000, 2)
    fresh = run_processor(made, spec, x)
    run_processor(made, spec, x[:, :777])
    made.reset()
    io_again = _continue(made, spec, x)
    np.testing.assert_array_equal(io_again, fresh)


def _continue(made, spec, x):
    """Plays x through a processor that is prepared already."""
    kept, made.prepare = made.prepare, lambda spec: None
    try:
        return run_processor(made, spec, x)
    finally:
        made.prepare = kept


def test_time_inside_is_that_of_the_frame_the_sound_came_in_at():
    spec = StreamSpec(48000, 256, 1)
    made = adapt(kind(16000, 160), spec)
    render(made, spec, np.zeros((1, 6000), np.float32), blocks=[256, 100])
    assert made.inner.samples[:4] == [0, 480, 960, 1440]


def test_a_processor_that_asks_for_it_is_split_where_a_parameter_steps():
    spec = StreamSpec(48000, 256, 1)
    made = adapt(kind(16000, split=True), spec)
    render(made, spec, np.zeros((1, 3000), np.float32), None, [(1000, "number", 5)])
    edges = np.cumsum(made.inner.calls)
    assert 334 in edges
    made = adapt(kind(16000, 128, split=True), spec)
    render(made, spec, np.zeros((1, 3000), np.float32), None, [(1000, "number", 5)])
    assert set(made.inner.calls) == {128}


@pytest.mark.parametrize("mistake", ["returns", "shape", "count"])
def test_a_processor_that_breaks_its_contract_inside_is_named(mistake):
    class Wrong(Processor):
        block = 64

        def process(self, io):
            if mistake == "returns":
                return 3
            if mistake == "shape":
                io.audio_out[0] = np.zeros((1, 3), np.float32)
            else:
                io.audio_out.append(io.audio_out[0])
            return None

    spec = StreamSpec(48000, 64, 2)
    with pytest.raises(PluginError, match=r"process returned|wrong shape|changed its outputs"):
        run_processor(adapt(Wrong(), spec), spec, np.zeros((2, 200), np.float32))


def test_no_buffer_grows_while_it_plays():
    spec = StreamSpec(48000, 64, 2)
    made = adapt(kind(22050, 128), spec)
    notes = [Event("on", n, 60) for n in range(0, 20000, 50)]
    render(made, spec, audio.noise(20000, 2), None, [(n, "number", n) for n in range(0, 20000, 40)], None, notes)
    assert made.dropped == 0
    assert len(made._events_in) < 20
    assert len(made._events_out) < 40
    assert all(len(f._changes) < 20 for f in made._followers)
    assert len(made.inner.notes) > 390
