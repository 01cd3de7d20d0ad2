"""Neural voice: hibari-tts, with its graph modified at run time to accept durations and pitch.

The network computes durations, pitch and spectra of phonemes. The inputs `dur` and `f0_in` replace durations and pitch
for the spectra. Only the installed wheel is read.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_sing.song import REFERENCE, Phone, SpokenLine

VOWELS = frozenset("AIOQWYaiuæɑɒɔəɛɜɪʊʌᵊᵻeɚɝo")
GLIDES = frozenset("AIOQWY")
MARKS = frozenset("ˈˌː")
SPEED = 0.85
"""Speech rate relative to the network's default."""
LEAD_FRAMES = 3.0
"""Frames by which the sound precedes the phoneme's position at that speed, where voiced and voiceless differ most."""
MAX_VOWEL_SHIFT = 4
"""Maximum shift in frames of a vowel towards voiced sound."""
MIN_SHIFT_GAIN = 0.03
"""Minimum gain of such a shift per frame, as a share of a vowel's level."""
SILENT = -30.0
LINE_SUFFIX = " lˈɑ lˈɑ."
"""Text appended to a line: the last word of a sentence is half unvoiced."""
SPEECH = 200.0
"""Speaking pitch in Hz."""
UNVOICED = 60.0
"""Pitch in Hz below which a frame is unvoiced."""


class NeuralVoice:
    """Voice `heart` of hibari-tts."""

    def __init__(self) -> None:
        import hibari
        import onnx
        import onnxruntime

        model = onnx.load(str(Path(hibari.__file__).parent / "assets" / "hibari.onnx"))
        graph, real = model.graph, onnx.TensorProto.FLOAT
        for node in graph.node:
            if node.op_type == "Cast" and node.input[0] == "/Clip_output_0":
                node.input[0] = "dur"
            if node.op_type == "Relu" and node.input[0] == "f0":
                node.input[0] = "f0_in"
        make = onnx.helper.make_tensor_value_info
        graph.input.extend([make("dur", real, ["L"]), make("f0_in", real, [1, "F2"])])
        graph.output.extend([make("/Clip_output_0", real, None)])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._net = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._voice = hibari.Hibari()

    def say(self, words: list[str]) -> SpokenLine:
        """Speaks a line. `words`: at least one."""
        from hibari import dsp

        letters = "".join(self._phonemes_of_words(words)) + LINE_SUFFIX
        ids = [0, *(self._voice.vocab[c] for c in letters), 0]
        dur = self._run(ids, np.ones(len(ids)), np.zeros(2 * len(ids)))[6]
        frames = int(dur.sum()) * 2
        voiced = self._run(ids, dur, np.zeros(frames))[5][0] > UNVOICED
        harmonic, _, noise, free, phase, _ = (
            part[0] for part in self._run(ids, dur, np.where(voiced, SPEECH, 0.0))[:6]
        )
        # the residual has the original pitch: it is kept where harmonics are weak
        free = np.where((harmonic > free) & voiced, SILENT, free)
        sound = dsp.synth(
            np.full_like(harmonic, SILENT),
            np.zeros_like(harmonic),
            noise,
            free,
            phase,
            np.zeros(frames, np.float32),
            np.random.default_rng(0),
        )
        level = np.sqrt(REFERENCE / SPEECH) / (dsp.N_FFT // 4)
        bins = np.arange(harmonic.shape[0])
        at = np.arange(1, int(len(bins) * dsp.SR / 2 / SPEECH / len(bins))) * SPEECH * dsp.N_FFT / dsp.SR
        # between harmonics the network says nothing of use
        envelope = np.stack([np.interp(bins, at, row[at.astype(int)]) for row in harmonic.T])
        envelope = np.exp(np.minimum(envelope, 7.0)) * voiced[:, None] * level
        # a phone sounds before the place of its letter; marks of stress and spaces take time too
        starts = np.maximum(0.0, np.concatenate([[0.0], np.cumsum(dur)]) * 2.0 - LEAD_FRAMES)
        spans: list[Phone] = []
        word, begin = 0, None
        for n, c in enumerate(["^", *letters]):
            word += c == " "
            if c in VOWELS or (c.isalpha() and c not in MARKS):
                start = float(starts[n]) if begin is None else begin
                spans.append(Phone(c, word, start, float(starts[n + 1]), c in VOWELS, c in GLIDES))
                begin = None
            elif c in MARKS and begin is None and c != "ː":
                begin = float(starts[n])
            elif c == "ː" and spans:
                spans[-1] = replace(spans[-1], end=float(starts[n + 1]))
        spans = [phone for phone in spans if phone.word < len(words)]
        spans = _shift_vowels(spans, np.sqrt((envelope**2).sum(axis=1)))
        frames = min(frames, round(spans[-1].end) + 2)
        envelope, sound = envelope[:frames].astype(np.float32), sound[: frames * dsp.HOP].astype(np.float32)
        return SpokenLine(envelope, sound, dsp.HOP, dsp.SR, spans)

    def _run(self, ids: list[int], dur: Any, pitch: Any) -> Any:
        given = {
            "ids": np.array([ids], np.int64),
            "speed": np.full(1, SPEED, np.float32),
            "dur": dur.astype(np.float32),
            "f0_in": pitch[None].astype(np.float32),
        }
        return self._net.run(None, given)

    def _phonemes_of_words(self, words: list[str]) -> list[str]:
        """Phonemes of each word, all but the first after a space."""
        vocab = self._voice.vocab
        whole = " ".join(self._voice.phonemize(" ".join(words)))
        parts = ["".join(c for c in part if c in vocab and c not in '.,;:!?—…"()“”') for part in whole.split()]
        parts = [part for part in parts if part]
        if len(parts) != len(words):
            alone = ("".join(self._voice.phonemize(word)) for word in words)
            parts = ["".join(c for c in part if (c in vocab and c.isalpha()) or c in MARKS) or "ə" for part in alone]
        parts = [_stress_full_vowel(part) for part in parts]
        return [part if n == 0 else f" {part}" for n, part in enumerate(parts)]


def _stress_full_vowel(word: str) -> str:
    """Word with its full vowel: "to" is reduced in speech, but not when sung."""
    if not MARKS.isdisjoint(word):
        return word
    first = next((n for n, c in enumerate(word) if c in VOWELS), 0)
    return f"{word[:first]}ˈ{word[first:]}"


def _shift_vowels(phones: list[Phone], loud: NDArray[np.float32]) -> list[Phone]:
    """Shifts vowels by up to `MAX_VOWEL_SHIFT` frames to their most voiced position; `loud`: level per frame."""
    most = float(np.median(loud[loud > 0.05])) if (loud > 0.05).any() else 1.0
    kept = np.minimum(loud, most)
    found = list(phones)
    for n, phone in enumerate(phones):
        if phone.vowel:
            first, last = round(phone.start), max(round(phone.start) + 1, round(phone.end))
            moves = [
                k for k in range(-MAX_VOWEL_SHIFT, MAX_VOWEL_SHIFT + 1) if first + k >= 0 and last + k <= len(loud)
            ]
            move = max(
                moves, key=lambda k: kept[first + k : last + k].mean() - MIN_SHIFT_GAIN * most * abs(k), default=0
            )
            found[n] = replace(phone, start=phone.start + move, end=phone.end + move)
            if n and found[n - 1].end >= min(phone.start, found[n].start):
                found[n - 1] = replace(found[n - 1], end=max(found[n - 1].start, found[n].start))
            if n + 1 < len(phones) and phones[n + 1].start == phone.end and not phones[n + 1].vowel:
                found[n + 1] = replace(phones[n + 1], start=min(phones[n + 1].end, found[n].end))
    return found
