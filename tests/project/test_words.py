"""The field's words stand where a user reads; literary words and circumlocutions do not."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tools.osc_reference import built_in

from antiphon.kernel.contract.catalog import ProcessorInfo

ROOT = Path(__file__).parents[2]
INSTEAD = {
    r"whoever": "name the caller, the user or the process",
    r"nobody": "name what there is none of",
    r"somebody": "name the user, another client or another process",
    r"(is|are|was|were) no more(?! than)": "say that it was removed, has ended or is not in use",
    r"stands? aside": "say that it is bypassed",
    r"let(s|ting)? go": "say that it is released or freed",
    r"goes round": "say that it is circular or repeats",
    r"c(o|a)mes? about": "say what makes it",
    r"happily|luckily|alas|once upon": "leave it out",
    r"turns? a second|turn in so many": "LFO rate, LFO period",
    r"answer to an impulse": "impulse response",
    r"drawn by chance|which dice": "random, random seed",
    r"learnt? (from )?together": "batch",
    r"made (people|users|listeners|audience)": "simulated users",
    r"so manieth": "say every how many",
}
"""Patterns, and what to write in their place."""
PATTERNS = {re.compile(rf"\b({words})\b", re.IGNORECASE): instead for words, instead in INSTEAD.items()}
GENERATED = ("osc.md",)
TYPES = {
    "compressor": "compressor threshold ratio side chain attack release gain reduction",
    "gate": "noise gate threshold hysteresis side chain",
    "eq": "parametric equaliser peak notch",
    "reverb": "reverb room size reverb time RT60 damping modulation depth",
    "convolution": "convolution reverb impulse response",
    "delay": "delay echo feedback",
    "pingpong": "ping-pong delay feedback wow and flutter low-pass high-pass",
    "drive": "distortion clipping wave folder low-pass",
    "bitcrush": "bitcrusher bit depth sample rate",
    "chorus": "chorus LFO rate depth dry/wet vibrato",
    "flanger": "flanger comb filter LFO rate depth feedback dry/wet",
    "phaser": "phaser allpass LFO rate depth feedback dry/wet",
    "tremolo": "tremolo auto-pan LFO rate depth waveform",
    "ringmod": "ring modulator",
    "vocoder": "vocoder carrier spectral envelope",
    "width": "stereo width mid and side mono",
    "transient": "transient shaper attack sustain",
    "pitch": "pitch shifter formants transpos dry/wet",
    "stretch": "time stretch",
    "freeze": "spectral freeze",
    "filter": "filter low-pass high-pass band-pass notch cutoff resonance",
    "limiter": "limiter look-ahead ceiling",
    "lfo": "LFO rate depth waveform sample and hold random phase",
    "follower": "envelope follower attack release modulation depth",
    "sampler": "sampler one-shots polyphony choke group pitch-bend range velocity sensitivity low-pass reverse",
    "synth": "polyphony pitch-bend range random seed",
    "hum": "pitch tracker MIDI notes f0",
    "tuner": "tuner tuning cents frequency",
    "meter": "level meter peak RMS",
    "metronome": "metronome",
    "looper": "loop overdub",
    "denoise": "noise reduction spectral gate wavelet threshold",
    "transfer": "timbre transfer",
    "identify": "identif audio fingerprint confidence",
    "listen": "tempo beats key chord loudness",
    "loops": "time-stretched transposed loops",
    "accompany": "accompaniment chords",
    "answer": "improvisation notes random seed key",
    "continue": "continuation bars MIDI",
    "generate": "generation melody random seed",
    "classify": "classif genre instrument",
}
"""What a musician searches for, by processor: each word is in its description or in one of its parameters'."""
SEARCHED = {
    "docs/pipeline.md": ("epochs", "batch size", "learning rate", "random seed", "cross-validation"),
    "docs/library.md": ("trustworthiness",),
    "plugins/antiphon_effects/README.md": (
        "convolution reverb",
        "impulse response",
        "vocoder",
        "noise gate",
        "side chain",
    ),
    "plugins/antiphon_hum/README.md": ("read-only", "pitch", "MIDI"),
}
"""What a reader searches for, by page."""
PAGES = sorted(
    path
    for path in (*(ROOT / "docs").rglob("*.md"), *(ROOT / "plugins").glob("*/README.md"), *ROOT.glob("*.md"))
    if path.name not in (*GENERATED, "CHANGELOG.md", "THIRD_PARTY.md")
)


def comments(source: str, *, strings: bool) -> Iterator[tuple[int, str]]:
    """Lines of a module's comments and docstrings, with their numbers. strings: those of all other strings as well."""
    if not any(pattern.search(source) for pattern in PATTERNS):
        return  # to tokenise every module would take seconds
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (strings and token.type == tokenize.STRING):
            yield from enumerate(token.string.splitlines(), token.start[0])
    for node in ast.walk(ast.parse(source)) if not strings else ():
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from enumerate(node.value.value.splitlines(), node.lineno)


def advice(place: str, lines: Iterator[tuple[int, str]]) -> list[str]:
    """A sentence for each line that has such a word."""
    return [
        f"{place}:{number}: {match.group()!r}: {instead}"
        for number, line in lines
        for pattern, instead in PATTERNS.items()
        if (match := pattern.search(line)) is not None
    ]


# strings in models/ hold sentences to be spoken by a synthesiser: material on which the weights depend
@pytest.mark.parametrize(
    ("folder", "strings"), [("server", True), ("plugins", True), ("models", False), ("bench", True)]
)
def test_code_has_none(folder: str, strings: bool) -> None:
    bad = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        if "tests" not in path.parts:
            bad += advice(str(path.relative_to(ROOT)), comments(path.read_text(), strings=strings))
    assert not bad, "\n" + "\n".join(bad)


def test_pages_have_none() -> None:
    bad = []
    for path in PAGES:
        bad += advice(str(path.relative_to(ROOT)), enumerate(path.read_text().splitlines(), 1))
    assert not bad, "\n" + "\n".join(bad)


def test_a_word_is_detected_in_prose_and_not_in_names() -> None:
    source = 'nobody = 1\n\n\ndef f():\n    """Ends.\n\n    Whoever calls."""\n    return "let go"  # it is no more\n'
    places = [line.split(": ")[:2] for line in advice("f.py", comments(source, strings=True))]
    assert places == [["f.py:7", "'Whoever'"], ["f.py:8", "'let go'"], ["f.py:8", "'is no more'"]]
    assert [line.split(": ")[1] for line in advice("f.py", comments(source, strings=False))] == [
        "'is no more'",
        "'Whoever'",
    ]


@cache
def processors() -> dict[str, ProcessorInfo]:
    return built_in().types


def described(kind: str) -> str:
    """All that a user reads of a processor: its description, its parameters' and their choices."""
    info = processors()[kind]
    return " ".join(
        [info.doc, *(f"{param.name} {param.doc} {' '.join(param.choices)}" for param in info.params)]
    ).lower()


@pytest.mark.parametrize("kind", TYPES)
def test_a_processor_is_described_in_the_words_it_is_searched_by(kind: str) -> None:
    text = described(kind)
    assert [word for word in TYPES[kind].lower().split() if word not in text] == []


@pytest.mark.parametrize("page", SEARCHED)
def test_a_page_has_the_words_it_is_searched_by(page: str) -> None:
    text = " ".join((ROOT / page).read_text().split()).lower()
    assert [word for word in SEARCHED[page] if word.lower() not in text] == []
