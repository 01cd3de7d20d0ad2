"""Values of a note as methods of what is played: `s("bd*4").gain(0.5).lpf(400)`."""

from __future__ import annotations

from typing import Any

from antiphon.errors import UsageError
from antiphon.live.patterns.arguments import Argument
from antiphon.live.patterns.controls import ALIASES, ControlPattern, values_of
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.queries import apply_left
from antiphon.live.patterns.words.table import METHOD, maker, register

VALUES = {
    "accelerate": "Change of the speed while a sound plays", "attack": "Fade-in, in seconds",
    "bandf": "Band-pass, in Hz", "bandq": "Narrowness of the band-pass, 1 to 30",
    "beats": "Beats that the part lasts", "begin": "Where the sound begins, 0 to 1", "ccn": "Number of a controller",
    "ccv": "Value of a controller, 0 to 127", "channel": "MIDI channel, 1 to 16",
    "coarse": "Each value held for so many frames", "crush": "Bits, fewer for a coarser sound",
    "cut": "Group of notes that end one another", "decay": "Seconds to the level at which a note stays",
    "detune": "Detuning", "distort": "Distortion", "end": "Where the sound ends, 0 to 1",
    "gain": "Factor of the level, 0 to 4", "hpf": "High-pass, in Hz", "hresonance": "Resonance of the high-pass, 0 to 1",
    "legato": "Factor of the note's length", "length": "Length of the note, in beats", "level": "Level",
    "loop": "Whether the sound repeats", "lpf": "Low-pass, in Hz", "nudge": "Later by so many seconds",
    "pan": "0 left, 0.5 middle, 1 right", "release": "Fade-out, in seconds", "repeats": "How often the part plays",
    "resonance": "Resonance of the low-pass, 0 to 1", "shape": "Distortion, 0 to 1",
    "slices": "Into how many parts the sound is cut", "speed": "Speed, below 0 backwards",
    "stretch": "How a sound is fitted: speed or onsets", "sustain": "Seconds after which the sound fades out",
    "unit": "c: the speed counts cycles", "velocity": "Strength, 1 to 127", "vowel": "Formants: a e i o u",
}  # fmt: skip
"""What notes take that have values of their own; a node refuses what it does not know."""


def _make(name: str, doc: str) -> None:
    def function(p: Any, value: Argument) -> Any:
        return p.set(**{name: value})

    function.__name__, function.__doc__ = name, f"{doc}."
    example = {"vowel": 's("bd*4").vowel("a")', "stretch": 's("bd").stretch("onsets")'}
    also = tuple(alias for alias, known in ALIASES.items() if known == name)
    register(function, METHOD, "notes", example.get(name, f's("bd*4").{name}(1)'), also, ControlPattern)


for _name, _doc in VALUES.items():
    _make(_name, _doc)


def _played(name: str, doc: str) -> None:
    def function(p: Any, value: Argument | None = None) -> ControlPattern:
        if value is None:
            return ControlPattern(values_of(name, p))
        if not isinstance(p, ControlPattern):
            raise UsageError(
                f'{name} takes no value here: {name}() plays the pattern\'s own, as in mini("0 2").{name}()'
            )
        return p.set(**{name: value})

    function.__name__, function.__doc__ = (
        name,
        f"{doc}; of a pattern of numbers or words, without a value, it plays them.",
    )
    also = ("sound",) if name == "s" else ()
    register(function, METHOD, "notes", f'mini("0 1").{name}()' if name != "s" else 'n("0 1").s("hh")', also)


_played("s", "Name of the sound")
_played("n", "Number of the sound in its folder")
_played("note", "The note by name or number")


@maker("notes", 'sound("bd sd")')
def sound(names: Argument, **values: Argument) -> ControlPattern:
    """Sounds by the names of their folders: `s`."""
    return ControlPattern(values_of("s", names)).set(**values)


def _adsr(name: str, keys: tuple[str, ...]) -> None:
    def function(p: Any, values: Any) -> Any:
        def named(old: Any, given: Any) -> Any:
            parts = str(given).split(":")
            return {**old, **{key: float(part) for key, part in zip(keys, parts, strict=False)}}

        text = values if isinstance(values, Pattern) else Pattern(values_of("", values, plain=True))
        return p._new(apply_left(p.events, text.events, named))

    function.__name__, function.__doc__ = name, f"Envelope of a note, {', '.join(keys)} joined by colons."
    example = f's("bd*4").{name}("{":".join("0.1" for _ in keys)}")'
    register(function, METHOD, "notes", example, (), ControlPattern)


_adsr("adsr", ("attack", "decay", "sustain", "release"))
_adsr("ar", ("attack", "release"))
