"""`antiphon evaluate denoise`: measures the denoiser and others on sounds outside its training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.util import find_spec
from itertools import islice

import numpy as np

from antiphon.api import F32, F64
from antiphon.api.backends.models import read_weights, usable
from antiphon.api.backends.signal import SpectrumSizes, hann, windows
from antiphon_denoise.bands import HOP
from antiphon_denoise.deepfilter import DELAY, HOP as FRAMES, MODEL, DeepFilterNetwork
from antiphon_denoise.processor import MODELS
from antiphon_models.denoise import testset
from antiphon_models.denoise.testset import RATE, TestMixture
from antiphon_models.learning import needs
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Example, MetricValue
from antiphon_models.learning.user_commands import run_on_sound


def si_sdr(made: F32, clean: F32) -> float:
    """Scale-invariant signal-to-distortion ratio in dB."""
    a, b = made.astype(np.float64), clean.astype(np.float64)
    scale = float(a @ b) / (float(b @ b) + 1e-20)
    rest = a - scale * b
    return float(10 * np.log10((scale**2 * float(b @ b) + 1e-20) / (float(rest @ rest) + 1e-20)))


def frames_of(sound: F32, size: int, hop: int) -> F32:
    """Frames `[n, size]`, zero-padded by half a frame at both ends."""
    padded = np.concatenate([np.zeros(size, np.float32), sound, np.zeros(2 * size, np.float32)])
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]


def _spectral(sound: F32, gain: Callable[[F64], F64], size: int, hop: int) -> F32:
    """Applies a spectral gain, which maps power spectra `[n, bins]` to gains."""
    window = hann(size)
    spectra = np.fft.rfft(frames_of(sound, size, hop) * window, axis=1)
    spectra *= gain(np.abs(spectra) ** 2)
    frames = np.fft.irfft(spectra, size, axis=1) * window * (hop / size / 0.375)
    made = np.zeros(len(frames) * hop + size, np.float32)
    for n, piece in enumerate(frames):
        made[n * hop : n * hop + size] += piece.astype(np.float32)
    return made[size : size + len(sound)]


def apply_wiener_filter(sound: F32) -> F32:
    """Wiener filter without a reference: noise is the lowest smoothed power of the last 1.5 s (Martin, 2001), the gain
    is decision-directed (Ephraim and Malah, 1984), at least -20 dB.
    """

    def gain(power: F64) -> F64:
        back, bias, keep = 140, 1.7, 0.98
        smooth = np.copy(power)
        for n in range(1, len(power)):
            smooth[n] = 0.8 * smooth[n - 1] + 0.2 * power[n]
        gains = np.ones_like(power)
        before = np.zeros(power.shape[1])
        for n in range(len(power)):
            noise = bias * smooth[max(0, n - back) : n + 1].min(axis=0) + 1e-12
            after = power[n] / noise
            prior = keep * before + (1 - keep) * np.maximum(after - 1.0, 0.0)
            gains[n] = np.maximum(prior / (1.0 + prior), 0.1)
            before = gains[n] ** 2 * after
        return gains

    return _spectral(sound, gain, 1024, 512 // 2)


def oracle(item: TestMixture) -> F32:
    """Applies the ideal mask: the root of the power ratio of clean sound to mixture in each bin."""
    sizes = SpectrumSizes(2048, HOP, 1)
    analysis, synthesis = windows(sizes)
    clean, noise = (np.fft.rfft(frames_of(x, sizes.size, HOP) * analysis, axis=1) for x in (item.clean, item.noise))
    wanted, rest = np.abs(clean) ** 2, np.abs(noise) ** 2
    mask = np.sqrt(wanted / (wanted + rest + 1e-12))
    made = np.fft.irfft(mask * (clean + noise), sizes.size, axis=1)[:, -sizes.lag :] * synthesis
    out = np.zeros(len(made) * HOP + sizes.size, np.float32)
    for n, piece in enumerate(made):
        at = n * HOP + sizes.size - sizes.lag
        out[at : at + sizes.lag] += piece
    return out[sizes.size : sizes.size + len(item.clean)]


def deepfilter(sound: F32) -> F32:
    """Runs DeepFilterNet 3 as its author does, without mixing noise back in; the delay is compensated."""
    network = _deepfilter()
    network.start()
    x, padded = np.zeros((2, FRAMES), np.float32), np.concatenate([sound, np.zeros(DELAY + FRAMES, np.float32)])
    out = np.zeros_like(padded)
    for at in range(0, len(padded) - FRAMES + 1, FRAMES):
        x[0] = padded[at : at + FRAMES]
        network.step(x, out[None, at : at + FRAMES])
    return out[DELAY : DELAY + len(sound)]


@cache
def _deepfilter() -> DeepFilterNetwork:
    network = DeepFilterNetwork({name: np.asarray(array, np.float32) for name, array in read_weights(MODEL).items()})
    network.least_kept = 0.0
    return network


Made = Callable[[TestMixture], F32]
_EAR = 16000
_HARM = -0.5
_MOVED, _PASSED = 1.0, 25.0
"""A clean sound counts as changed by a level change above the first, in dB, or an SI-SDR below the second, in dB."""
_SHOWN, _FEW = 10, 6
"""SNR in dB of the examples, and their number."""


class DenoiseEvaluation(Evaluation):
    """Measures fold 4 of ESC-10 at 0, 10 and 20 dB over recordings, voices, songs and loops outside all training."""

    trivial = "nothing"
    classical = "Wiener, blind"
    peer = "DeepFilterNet 3"
    ours = "gate; wavelet; autoencoder; learned; learned, file; file"
    oracle = "mask"
    columns = (
        "gain [dB]; at 0 dB [dB]; at 10 dB [dB]; at 20 dB [dB]; harmed [%] ↓; clean [dB]; pauses [dB]; PESQ; STOI gain"
    )
    note = (
        "gain: of SI-SDR. harmed: items that lose over 0.5 dB. clean: SI-SDR of clean sound that went through. "
        "Of your own files those count as harmed too that pass clean with under 25 dB, or over 1 dB softer or louder. "
        "pauses: by how much the noise is quieter between phrases. PESQ and STOI are at 16 kHz."
    )
    items_note = "Most voices are synthetic: PESQ and STOI are to be compared in this table only, not with VoiceBank's."
    files_doc = "clean sound files: noise is added to five seconds of each"
    folders = testset.DATA
    synthetic_doc = "voices of espeak-ng and notes of TimGM6mb by seed, in white, pink and brown noise"
    road = (
        "`antiphon run denoise IN OUT -p mode=MODE --causal`, `learned, file` without `--causal`, `file` without `-p`"
    )

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        if find_spec("pesq") is None:
            ask.say(
                "pesq is not installed: PESQ is left out (pip install antiphon-lab[pesq], which needs a C compiler)"
            )
        made = _makers(ask)
        clips, kinds = _noises(ask), _clean(ask)
        count = len(clips) if ask.limit is None else min(len(clips), -(-ask.limit // 3))
        for item in testset.mixtures(kinds, clips[:count], ask.seed):
            yield from _mixture_scores(made, item)
        for sound in testset.mixtures_without_noise(kinds, ask.limit):
            for name, system in made.items():
                out = system(sound)
                ratio = si_sdr(out, sound.clean)
                yield MetricValue(name, "clean", sound.name, ratio)
                if ask.files:
                    moved = abs(_db(out) - _db(sound.clean)) > _MOVED or ratio < _PASSED
                    yield MetricValue(name, "harmed", sound.name, 100.0 * moved)
        if not ask.files:
            for item, gaps in testset.pauses(kinds, clips, ask.seed, ask.limit):
                for name, system in made.items():
                    quieter = float(np.mean(_gap_attenuations(item.mixture, system(item), gaps)))
                    yield MetricValue(name, "pauses", item.name, quieter)

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        made = _makers(ask)
        clips, kinds = _noises(ask), _clean(ask)
        heard = (item for item in testset.mixtures(kinds, clips, ask.seed) if item.snr == _SHOWN)
        for item in islice(heard, ask.limit or _FEW):
            yield Example(item.name, "clean", item.clean, RATE)
            for name, system in made.items():
                yield Example(item.name, "noisy" if name == "nothing" else name, system(item), RATE)


def _noises(ask: EvaluationRequest) -> list[tuple[str, F32]]:
    """Noises to add, by name: recorded ones, or synthetic ones where ESC-10 is missing."""
    if ask.synthetic or (ask.files and not (ask.data / "esc10").is_dir()):
        if ask.files:
            ask.say(
                f"{needs.missing_text(ask.data, 'esc10')}: the noise is computed (white, pink, brown), "
                "steadier than most recorded"
            )
        return testset.synthetic_noises(ask.seed)
    return testset.noises(ask.data)


def _clean(ask: EvaluationRequest) -> dict[str, dict[str, F32]]:
    """The clean sounds by kind and name: the user's own files, or the evaluation's."""
    if ask.files:
        own = {path.stem: testset.excerpt(path) for path in ask.files}
        return dict.fromkeys(testset.KINDS, own)
    if ask.synthetic:
        return testset.synthetic_sounds(ask.work, ask.seed, ask.say)
    return testset.clean_sounds(ask.data, ask.work, ask.seed, ask.say)


def _makers(ask: EvaluationRequest) -> dict[str, Made]:
    """The requested systems that are available, by name."""
    table: dict[str, Made] = {
        "nothing": lambda item: item.mixture,
        "Wiener, blind": lambda item: apply_wiener_filter(item.mixture),
        "DeepFilterNet 3": lambda item: deepfilter(item.mixture),
        "mask": oracle,
    }
    for mode in ("gate", "wavelet", "learned", "autoencoder"):
        table[mode] = partial(_run_denoise, mode)
    table["learned, file"] = partial(_run_denoise, "learned", causal=False)
    table["file"] = lambda item: run_on_sound("denoise", item.mixture, RATE, {})
    for mode, model in MODELS.items():
        if why := usable(model):
            ask.say(f"{mode} is left out: {why}")
            table = {name: made for name, made in table.items() if not name.startswith(mode)}
    return ask.select(table)


def _run_denoise(mode: str, item: TestMixture, *, causal: bool = True) -> F32:
    return run_on_sound("denoise", item.mixture, RATE, {"mode": mode, "causal": causal})


def _mixture_scores(made: dict[str, Made], item: TestMixture) -> Iterator[MetricValue]:
    speech = item.kind == "speech" and item.snr < 20
    before = _stoi_score(item.mixture, item.clean) if speech else None
    for name, system in made.items():
        out = system(item)
        gain = si_sdr(out, item.clean) - si_sdr(item.mixture, item.clean)
        yield MetricValue(name, "gain", item.name, gain)
        yield MetricValue(name, f"at {item.snr} dB", item.name, gain)
        yield MetricValue(name, "harmed", item.name, 100.0 * (gain < _HARM))
        if speech:
            quality = _pesq_score(out, item.clean)
            if quality is not None:
                yield MetricValue(name, "PESQ", item.name, quality)
            after = _stoi_score(out, item.clean)
            if before is not None and after is not None:
                yield MetricValue(name, "STOI gain", item.name, after - before)


def _gap_attenuations(mixed: F32, out: F32, gaps: list[slice]) -> list[float]:
    """Attenuation of each gap in dB, measured from a quarter second after its start."""
    inside = [slice(gap.start + RATE // 4, gap.stop - RATE // 20) for gap in gaps]
    return [_db(mixed[part]) - _db(out[part]) for part in inside]


def _db(sound: F32) -> float:
    """RMS level in dBFS."""
    return float(10.0 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-12))


def _resample_for_metrics(sound: F32) -> F32:
    import soxr

    return np.asarray(soxr.resample(sound, RATE, _EAR), np.float32)


def _pesq_score(out: F32, clean: F32) -> float | None:
    """PESQ, wideband; None where `pesq` is not installed or finds no speech."""
    try:
        from pesq import PesqError, pesq
    except ImportError:
        return None
    try:
        return float(pesq(_EAR, _resample_for_metrics(clean), _resample_for_metrics(out), "wb"))
    except PesqError:
        return None


def _stoi_score(out: F32, clean: F32) -> float | None:
    """STOI; None where `pystoi` is not installed."""
    try:
        from pystoi import stoi
    except ImportError:
        return None
    return float(stoi(_resample_for_metrics(clean), _resample_for_metrics(out), _EAR))
