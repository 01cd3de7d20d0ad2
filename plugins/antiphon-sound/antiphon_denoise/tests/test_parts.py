"""The denoiser's parts, each against plain numpy."""

import numpy as np
import pytest
from tests.each import each

from antiphon.api import IO, BlockTime
from antiphon.api.backends.signal import grid, symlet_filters, wavelet_join, wavelet_split
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon_denoise.bands import BINS, COUNT, BandMeans, centres, places
from antiphon_denoise.gate.estimate import Estimator, RecentSpectra
from antiphon_denoise.gate.gains import MIN_LIMIT, SuppressionLimit
from antiphon_denoise.gate.network import HIDDEN, INPUTS, Network, load_weights
from antiphon_denoise.learned import NO_NOISE
from antiphon_denoise.learned.file_confidence import SteadyNoise
from antiphon_denoise.processor import MainsHumRemover
from antiphon_denoise.tests import sounds
from antiphon_denoise.tests.running import prepared, run
from antiphon_denoise.wavelet import Shrinker, denoise_shrink_row

RATE = 48000


def noisy(frames: int) -> np.ndarray:
    """Tones that come and go on the left and in the middle, and hiss."""
    t = np.arange(frames) / RATE
    tones = [0.2 * np.sin(2.0 * np.pi * hertz * t) * (np.sin(2.0 * np.pi * 1.3 * t) > 0.0) for hertz in (440, 1710)]
    hiss = 0.01 * np.random.default_rng(3).standard_normal((2, frames))
    return (np.stack([tones[0] + tones[1], tones[0]]) + hiss).astype(np.float32)


@pytest.mark.parametrize(("mode", "latency"), [("gate", "normal"), ("gate", "low"), ("wavelet", "normal")])
def test_after_a_preroll_it_goes_on_with_what_it_knows_and_after_a_reset_is_silent(mode, latency):
    sound = noisy(RATE)
    (processor, spec), fresh = (prepared(mode, channels=2, latency=latency) for _ in range(2))
    run(processor, sound[:, :10001], spec)
    processor.rewind()
    known = run(processor, sound, spec)
    assert np.abs(known - run(fresh[0], sound, spec))[:, : RATE // 2].max() > 1e-3
    processor.reset()
    assert not run(processor, np.zeros_like(sound), spec).any()


@each("rate", [44100, 96000, 144000, 192000])
def test_a_step_is_offered_at_every_rate(rate):
    processor, spec = prepared("gate", rate, channels=2)
    cells = {p.name: ParamCell(p, spec.rate, spec.block) for p in processor.params}
    sounds = [np.zeros((spec.channels, spec.block), np.float32) for _ in range(2)]
    assert processor.step(IO(sounds[:1], sounds[1:], cells, BlockTime(), spec.block)) is not None
    assert run(processor, noisy(8000), spec).any()


def follow(frames):
    limit = SuppressionLimit()
    return [limit.update(level, taken) for level, taken in frames]


def test_little_steady_noise_and_noise_as_loud_as_the_sound_go_and_nearly_all_there_is_stays():
    for frames in ([(1.0, 0.002)] * 300, [(0.01, 0.0099)] * 500, [(1.0, 0.45), (0.8, 0.4), (1.2, 0.5)] * 100):
        assert min(follow(frames)) == 1.0
    assert follow([(1.0, 0.001)] * 300 + [(1.0, 0.9)])[-1] < MIN_LIMIT + 0.1, "a sudden large removal"
    assert max(follow([(0.01, 0.0099)] * 20 + [(1.0, 0.95)] * 200)[40:]) == 0.0


NOISE_BINS, HOPS = 256, 500


def heard(noise: float, often: float) -> SteadyNoise:
    """Sound in a third of the bins, and noise of that mean power in so many of the hops, divided by a good mask."""
    rng = np.random.default_rng(1)
    made = SteadyNoise(NOISE_BINS)
    for _ in range(HOPS):
        sound = np.where(np.arange(NOISE_BINS) % 3 == 0, rng.exponential(1.0, NOISE_BINS), 0.0)
        other = rng.exponential(noise, NOISE_BINS) * (rng.random() < often)
        power = (sound + other + 1e-9).astype(np.float32)
        made.add(power, np.sqrt(sound / power).astype(np.float32))
    return made


def test_noise_that_stays_is_found_with_its_power() -> None:
    power = heard(0.2, 1.0).power()
    assert power is not None
    between = power[np.arange(NOISE_BINS) % 3 != 0]
    assert abs(10.0 * np.log10(between.mean() / 0.2)) < 0.3


@each("noise, often", [(1e-3, 1.0), (0.5, 0.1), (0.0, 1.0)])
def test_little_noise_and_noise_that_comes_and_goes_are_not(noise: float, often: float) -> None:
    assert heard(noise, often).power() is None


def test_noise_in_which_a_bin_comes_and_goes_is_not() -> None:
    rng = np.random.default_rng(3)
    made = SteadyNoise(NOISE_BINS)
    for _ in range(HOPS):
        power = (rng.exponential(1.0, NOISE_BINS) ** 4).astype(np.float32)
        made.add(power, np.full(NOISE_BINS, 0.3, np.float32))
    assert made.power() is None


def test_silence_has_none() -> None:
    made = SteadyNoise(NOISE_BINS)
    assert made.power() is None
    made.add(np.zeros(NOISE_BINS, np.float32), np.ones(NOISE_BINS, np.float32))
    assert made.power() is None


def test_network_is_the_plain_formula():
    w = load_weights()
    network = Network(w)
    rng = np.random.default_rng(0)
    state = [np.zeros(HIDDEN), np.zeros(HIDDEN)]

    def logistic(x):
        return 1 / (1 + np.exp(-x))

    def step(x, s, n):
        given, heard = x @ w[f"u{n}"] + w[f"c{n}"], s @ w[f"v{n}"]
        update, reset = logistic(given[:HIDDEN] + heard[:HIDDEN]), logistic((given + heard)[HIDDEN : 2 * HIDDEN])
        fresh = np.tanh(given[2 * HIDDEN :] + reset * (heard[2 * HIDDEN :] + w[f"d{n}"]))
        return (1 - update) * fresh + update * s

    for _ in range(20):
        x = rng.standard_normal(INPUTS).astype(np.float32)
        network.inputs[:] = x
        network.step()
        first = np.tanh(x @ w["w0"] + w["b0"])
        state[0] = step(first, state[0], 1)
        state[1] = step(state[0], state[1], 2)
        wanted = np.concatenate(state) @ w["wo"] + w["bo"]
        assert np.allclose(network.outputs.ravel(), wanted, atol=2e-4)


def test_bands_average_what_lies_around_their_centres():
    below, way = places(BINS)
    weights = np.zeros((COUNT, BINS))
    weights[below, np.arange(BINS)] += 1 - way
    weights[below + 1, np.arange(BINS)] += way
    rng = np.random.default_rng(1)
    power = rng.random(BINS).astype(np.float32)
    gain = rng.random(BINS).astype(np.float32)
    means, out = BandMeans(), np.zeros((4, COUNT), np.float32)
    means.measure(power, np.log(power), out[:2])
    means.write_scaled(power, gain, gain, power, out[2:])
    area = weights.sum(axis=1)
    assert np.allclose(means.area, area, rtol=1e-6)
    assert np.allclose(out[0], weights @ power / area, rtol=1e-4)
    assert np.allclose(out[1], weights @ np.log(power) / area, rtol=1e-3)
    assert np.allclose(out[2], weights @ (power * gain**2) / area, rtol=1e-4)
    assert np.allclose(out[3], weights @ (gain * power**2) / area, rtol=1e-4)
    assert (np.diff(centres()) >= 2).all()


def test_a_split_divides_the_spectrum_in_two_and_is_undone_by_its_inverse():
    low, high = symlet_filters()
    wide = np.pad(low, (0, 32))
    orthonormal = [[np.dot(np.roll(np.pad(f, (0, 32)), 2 * n), wide) for n in range(16)] for f in (low, high)]
    assert np.allclose(orthonormal, [[1.0] + [0.0] * 15, [0.0] * 16], atol=1e-6)
    out, back, scratch = np.zeros(256, np.float32), np.zeros(256, np.float32), np.zeros(512, np.float32)
    for cycles, whole in ((20, slice(0, 128)), (108, slice(128, 256))):
        x = np.sin(2 * np.pi * cycles * np.arange(256) / 256).astype(np.float32)
        wavelet_split(x, 1, 256, low, high, len(low), out, scratch)
        assert np.sum(out[whole] ** 2) > 0.999 * np.sum(x**2)
        wavelet_join(out, 1, 256, low, high, len(low), back, scratch)
        assert np.allclose(back, x, atol=1e-5)


@each("hertz", [300, 1000, 5000, 15000])
def test_packets_are_matched_to_the_bins_they_span(hertz):
    sizes = grid(48000)
    shrinker = Shrinker(sizes)
    t = np.arange(sizes.lag) / 48000
    frame = np.sin(2 * np.pi * hertz * t).astype(np.float32)[None]
    power = np.full(sizes.bins, 1e-6, np.float32)
    at = round(hertz / 48000 * sizes.size)
    gain = np.zeros(sizes.bins, np.float32)
    gain[max(0, at - 20) : at + 20] = 1.0
    power[max(0, at - 20) : at + 20] = 1.0
    row, window = (shrinker._arrays[n] for n in (0, 5))
    row[:] = frame[0] * window
    denoise_shrink_row(shrinker.words, power, gain, 1.0)
    out, window = row * window, window**2
    kept = float(np.sum(out * frame * window)) / float(np.sum((frame * window) ** 2))
    assert kept > 0.9


def test_recent_takes_only_what_lay_whole_within_the_half_second():
    sizes = grid(48000)
    recent = RecentSpectra(sizes, 48000)
    for n in range(91):
        recent.add(np.full(sizes.bins, float(n), np.float32))
    when = 90 * sizes.hop + 100
    assert recent.take(when)
    first = next(n for n in range(100) if (n + 1) * sizes.hop - sizes.size >= when - 24000)
    assert np.allclose(recent.mean, np.mean(np.arange(first, 90)))


HOPS, LEARNED = 160, 60


@pytest.fixture(scope="module")
def gate():
    torch = pytest.importorskip("torch")
    from antiphon_models.denoise.training.gate import GateNetwork

    weights = load_weights()
    assert weights is not None
    made = GateNetwork().eval()
    made.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return made


@pytest.mark.parametrize("learned", [False, True], ids=["unasked", "learned"])
def test_whole_sounds_get_the_gains_that_the_engine_gives_hop_by_hop(gate, learned):
    rng = np.random.default_rng(4)
    loud = 3.0 * np.sin(np.arange(HOPS) / 9.0)[:, None] + np.linspace(-4.0, -14.0, BINS)
    power = (np.exp(loud) * rng.chisquare(2, (HOPS, BINS)) + 1e-10).astype(np.float32)
    noise = power[:20].mean(0)
    estimator, played = Estimator(BINS), []
    for hop, now in enumerate(power):
        if learned and hop == LEARNED:
            estimator.learn(noise)
        estimator.power[:] = now
        estimator.update(1e9)
        played.append(estimator.gain.copy())
    known = np.full((HOPS, BINS), NO_NOISE, np.float32)
    if learned:
        known[LEARNED:] = np.log(noise + 1e-10)
    import torch

    with torch.inference_mode():
        trained = gate(torch.from_numpy(np.log(power))[None], torch.from_numpy(known)[None])[0].numpy()
    assert np.abs(trained - np.stack(played)).max() < 1e-3
    assert trained.std() > 0.05


def taken(sound, rate, amount=1.0):
    """The sound `[channels, frames]` hop by hop through `MainsHumRemover`."""
    sizes = grid(rate, 384)
    hum, out = MainsHumRemover(sizes, rate, len(sound)), sound.copy()
    for at in range(0, out.shape[1] - sizes.hop + 1, sizes.hop):
        hop = out[:, at : at + sizes.hop].copy()
        hum.take(hop, amount)
        out[:, at : at + sizes.hop] = hop
    return out


def hummed(mains, rate, seconds=4.0):
    t = np.arange(int(rate * seconds)) / rate
    return (0.05 * sum(np.sin(2 * np.pi * mains * h * t + h) / h for h in range(1, 8))).astype(np.float32)


@pytest.mark.parametrize(("mains", "rate"), [(50.0, 44100), (49.93, 48000), (60.1, 48000), (60.0, 96000)])
def test_hum_goes_within_two_seconds(mains, rate):
    hum = hummed(mains, rate)[None] + sounds.white(4 * rate, 0.001)
    left = taken(hum, rate)[0, 2 * rate : -rate // 10]
    assert sounds.decibels(float(left.std() / hum[0].std())) < -10.0


@pytest.mark.parametrize("mains", [50.0, 50.03, 59.96])
def test_hum_goes_while_one_speaks_and_silence_stays_silent(mains):
    rate = 48000
    voice, hum = sounds.voice(rate, 8.0), hummed(mains, rate, 8.0)
    sound = np.pad(voice + hum, (rate, rate))[None]  # as one cuts it: what is silent says nothing of the hum
    out = taken(sound, rate)[0]
    late = slice(5 * rate, 9 * rate - rate // 10)
    left = out[late] - np.pad(voice, rate)[late]
    assert sounds.decibels(float(left.std() / hum.std())) < -18.0
    assert not out[:rate].any() and not out[9 * rate + 384 : -384].any()  # noqa: PT018
    clean = sound - np.pad(hum, rate)
    np.testing.assert_array_equal(taken(clean.astype(np.float32), rate), clean.astype(np.float32))


def test_half_of_it_goes_by_half_and_each_channel_loses_its_own():
    hum = hummed(50.0, 48000)
    sound = np.stack([hum, -0.3 * hum])
    whole, half = taken(sound, 48000), taken(sound, 48000, 0.5)
    late = slice(2 * 48000, -4800)
    assert (whole[:, late].std(axis=1) < 0.3 * sound[:, late].std(axis=1)).all()
    assert half[:, late].std(axis=1) == pytest.approx(0.5 * (sound + whole)[:, late].std(axis=1), rel=0.05)
