"""A note with its own parameter values: `/node/NAME/play s bd n 3 speed 1.5`, one message per note.

Nodes that take notes and declare a trigger named `play` accept it: values of the parameters before it, or, where it is
the first, numbers by any name, for SynthDefs (`NAME`). The values are sent as existing events at one time: controller
`BEGIN`, a controller for each, then the note. A word is sent as its own bytes, `PIECE` to a controller.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, takewhile
from struct import pack, unpack
from typing import TypeGuard

from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.params import Param
from antiphon.kernel.errors import RequestError
from antiphon.kernel.runtime.shortening import composed, count_of, is_finite_number, short_repr
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.session.commands import Beat, Play, When

PLAY = "play"
"""Trigger by which a processor declares that its notes take values."""
BEGIN = 102
"""Controller before a note's values: 1 if the note's number is given, 0 if not."""
FIRST = 103
"""Controller of the first value; 102 to 119 are undefined in MIDI 1.0."""
CONTROLLERS = 17
"""Number of values sent by MIDI controllers, the first ones of a node."""
NAME, HIGH, LOW = FIRST, FIRST + 1, FIRST + 2
"""Controllers of a value by name, after the pieces of its name: `NAME`, only in old logs, with a hash, and the halves
of the value, a 32-bit float, in 65536ths.
"""
MAX_NAMED = 16
"""Maximum values by name of a note."""
FIRST_EXTRA_VALUE = 128
"""Number of the first further value: beyond MIDI's controllers, so no device can send it."""
MAX_VALUES = CONTROLLERS + 32
"""Maximum values of a note."""
FIRST_WORD = FIRST_EXTRA_VALUE + MAX_VALUES - CONTROLLERS
"""Control number of the pieces of the first value's word; for a value by name, of the pieces of its name."""
LAST = FIRST_WORD + MAX_VALUES - 1
"""Largest control number of a value."""
PIECE = 3
"""Bytes of a word in one controller: a worker's events carry 32-bit floats, which are exact to 24 bits."""
MAX_WORD = 255
"""Maximum bytes of a word in UTF-8, the same as of a file's name."""
_OTHERS, _THEIRS = " of others", " here"
DEFAULT_NOTE = 60
"""Note number of a note without one."""
PIECES = 1 << 8 * PIECE
ROUNDING = 1.2e-7
"""Relative tolerance at the ends of a range, for values rounded to 32-bit floats."""


def note_params(params: Iterable[Param]) -> tuple[Param, ...]:
    """Parameters for which a note may have its own values.

    Returns the first `MAX_VALUES` parameters, before a trigger `PLAY`, that are a number, a switch, a choice or text,
    are read when a note begins (not smoothed), and need no new `prepare`.
    """
    kinds = ("float", "int", "switch", "choice", "text")
    params = takewhile(lambda p: p.name != PLAY, params)
    return tuple(p for p in params if p.kind in kinds and not (p.restart or p.readonly or p.smooth))[:MAX_VALUES]


def value_control_number(place: int) -> int:
    """Control number of a value.

    `place`: place of the value's parameter among `note_params`, from 0. Returns `FIRST` to 119 for the first
    `CONTROLLERS`, `FIRST_EXTRA_VALUE` and up for the others.
    """
    return FIRST + place if place < CONTROLLERS else FIRST_EXTRA_VALUE + place - CONTROLLERS


def word_controller_values(name: str, word: str) -> list[float]:
    """Bytes of a word as values of controllers, the last one filled up with zeros; at least one piece.

    `name`: the word's parameter, for the error message. Raises RequestError: the word is too long, or not text in
    UTF-8.
    """
    try:
        data = composed(word).encode("utf-8")
    except UnicodeEncodeError:
        raise RequestError(f"{name} takes text in UTF-8, not {short_repr(word)}") from None
    if len(data) > MAX_WORD or b"\0" in data:
        limit = f"at most {MAX_WORD} bytes and no zero byte"
        raise RequestError(f"{name} of a note takes a word of {limit}; {short_repr(word)} has {len(data)} bytes")
    parts = (data[at : at + PIECE].ljust(PIECE, b"\0") for at in range(0, max(len(data), 1), PIECE))
    return [int.from_bytes(part) / PIECES for part in parts]


def plays(info: ProcessorInfo) -> bool:
    """True if a node of this type plays notes with their own values."""
    return info.first("events", "in") is not None and any(p.name == PLAY and p.kind == "trigger" for p in info.params)


def takes(info: ProcessorInfo, param: str, args: Sequence[object]) -> bool:
    """True for a note with values: to `PLAY` of a node that takes notes, with a word as first argument."""
    return param == PLAY and bool(args) and isinstance(args[0], str) and plays(info)


def read(node: str, params: Iterable[Param], args: Sequence[object], when: When) -> list[Play[str]]:
    """Parses the arguments of `/node/NAME/play`.

    `args`: names and values in turn: those of `note_params`, `note` 0 to 127 and `velocity` 1 to 127, or as
    `is_velocity_share`, above 0. For a node whose values are all by name also `length`: beats, where `when` is a
    beat, or 0 until `/note/off`.

    Raises RequestError: a name without a value, or an unknown one. Raises ParamError: a value that its parameter does
    not take.
    """
    own = {p.name: place for place, p in enumerate(note_params(params))}
    declared = note_params(params)
    names = (*own, "note", "velocity")
    if len(args) % 2:
        raise RequestError(
            f"play takes names and values in turn, as in n 3 speed 1.5; it came with {count_of(len(args), 'argument')}"
        )
    declares = own and ("length" in own or "length" not in args[::2])
    length, args = (0.0, args) if declares else _length(node, args, when)
    note, velocity = -1, 1.0
    named: list[Play[str]] = []
    values: dict[int, list[Play[str]]] = {}  # by place: of a name that is given twice, the last is played
    for at in range(0, len(args), 2):
        name, value = args[at], args[at + 1]
        if isinstance(name, str) and name not in names and not own:
            named += _named(node, name, value, when)
            continue
        if not isinstance(name, str) or name not in names:
            hint = instead(name, names) if isinstance(name, str) else f"; there are {', '.join(names)}"
            raise RequestError(f"play takes no value named {short_repr(name)}{hint}")
        if name == "note":
            note = int(_NOTE.check(value))
        elif name == "velocity" and is_velocity_share(value) and value > 0.0:
            velocity = min(value, 1.0)
        elif name == "velocity":
            velocity = float(_VELOCITY.check(value)) / _VELOCITY.high
        else:
            param = declared[own[name]]
            checked = param.check(value)
            place = own[name]
            if param.kind == "text":
                pieces = word_controller_values(name, str(checked))
                values[place] = [_control(node, FIRST_WORD + place, piece, when) for piece in pieces]
            else:
                values[place] = [_control(node, value_control_number(place), param.to_norm(checked), when)]
    begin, note = _control(node, BEGIN, float(note >= 0), when), note if note >= 0 else DEFAULT_NOTE
    end = [Play(node, Event("off", 0, note), Beat(when.b + length))] if length and isinstance(when, Beat) else []
    return [*chain([begin], *values.values(), named), Play(node, Event("on", 0, note, velocity), when), *end]


def _control(node: str, number: int, value: float, when: When) -> Play[str]:
    return Play(node, Event("control", 0, number, value), when)


def fitted(params: Iterable[Param], args: Sequence[object]) -> tuple[list[object], list[str]]:
    """Arguments of a note that its node can play, and the names of values that were beyond their ranges.

    A pattern computes its values, as in `|+| shape "-0.3"`: a number beyond its range is clipped to it, and a word that
    is none of the choices is left out. Other errors stay, for `read` to refuse.
    """
    own = {param.name: param for param in note_params(params)}
    result, beyond = list[object](), list[str]()
    for at in range(0, len(args), 2):
        pair = args[at : at + 2]
        param = own.get(str(pair[0]))
        if param is not None and len(pair) == 2 and not param.takes(pair[1]):
            if param.kind in ("float", "int") and is_finite_number(pair[1]):
                pair = (pair[0], min(max(pair[1], param.low), param.high))
                beyond.append(param.name)
            elif param.kind == "choice" and isinstance(pair[1], str):
                pair = ()
                beyond.append(param.name)
        result += pair
    return result, beyond


def beyond_range_message(node: str, params: Iterable[Param], name: str) -> str:
    """Message about values of a note beyond a parameter's range."""
    param = next(param for param in params if param.name == name)
    others = "others are left out" if param.kind == "choice" else "what is beyond is played as the nearest"
    return f"{name} of {node} takes {param.allowed}; {others}"


def is_velocity_share(velocity: object) -> TypeGuard[float]:
    """Whether a velocity is a share of the full one: a float from 0 to 1, as faders and buttons send it."""
    return isinstance(velocity, float) and 0.0 <= velocity <= 1.0 + ROUNDING


def _length(node: str, args: Sequence[object], when: When) -> tuple[float, list[object]]:
    """Beats of a note with values by name, 0 until its note-off, and its other arguments."""
    pairs = list(zip(args[::2], args[1::2], strict=True))
    given = [value for name, value in pairs if name == "length"]
    length = given[0] if len(given) == 1 and not isinstance(given[0], bool) else None
    if not isinstance(length, int | float) or not 0 <= length < 1e6:
        raise RequestError(
            f'a note of {node} has a length in beats, or 0 until /note/off; in a script write .synth("{node}")'
        )
    if length and not isinstance(when, Beat):
        raise RequestError("a length above 0 is of notes at a beat, by /at; 0 is until /note/off")
    if len(pairs) > MAX_NAMED + 3:
        raise RequestError(f"play takes at most {MAX_NAMED} values by name")
    return float(length), [one for pair in pairs if pair[0] != "length" for one in pair]


def _named(node: str, name: str, value: object, when: When) -> Iterator[Play[str]]:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
        raise RequestError(f"{short_repr(name)} takes a number, not {short_repr(value)}")
    (bits,) = unpack(">I", pack(">f", value))
    for piece in word_controller_values("the name of a value", name):
        yield _control(node, FIRST_WORD, piece, when)
    yield _control(node, HIGH, (bits >> 16) / 65536, when)
    yield _control(node, LOW, (bits & 0xFFFF) / 65536, when)


def unknown_words(
    vocabulary: Mapping[str, Sequence[str]], args: Sequence[object]
) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Names, words and known words of a note's values that are not in its node's vocabulary.

    `vocabulary`: known words of the node's text parameters, by parameter, and known names of values under `PLAY`; empty
    if unknown. An unknown name is yielded as the word of `PLAY`.
    """
    for name, value in zip(args[::2], args[1::2], strict=True):
        if PLAY in vocabulary and name not in (*vocabulary[PLAY], "note", "velocity", "length"):
            yield PLAY, str(name), vocabulary[PLAY]
        known = vocabulary.get(str(name))
        if (
            known is not None
            and str(value)
            and composed(str(value)) not in known
            and word_after_bank(value) not in known
        ):
            yield str(name), str(value), known


def word_after_bank(word: object) -> str:
    """The word after a bank, such as `bd` of `linn_bd`, which is played where the bank is missing."""
    return composed(str(word)).rpartition("_")[2]


_HELD = frozenset({
    "sine", "sin", "sawtooth", "saw", "square", "sqr", "triangle", "tri",
    "pulse", "supersaw", "z_sine", "z_sawtooth", "z_square", "z_triangle",
    "z_noise", "white", "pink", "brown", "crackle", "supersquare", "superpwm", "superchip", "superhex", "supernoise",
    "superzow", "superhammond", "superreese", "supercomparator", "superstatic", "superhoover", "superfm",
})  # fmt: skip


def is_held(sound: object) -> bool:
    """Whether a sound of Strudel or SuperDirt is a synth, which lasts as long as its event, and not a sample."""
    return isinstance(sound, str) and (sound in _HELD or sound.startswith("gm_"))


def other_words(param: str, words: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Other programs' words for a parameter and their substitutes, as entries of a vocabulary."""
    return {f"{param}{_OTHERS}": tuple(words), f"{param}{_THEIRS}": tuple(words.values())}


def find_substituted_words(
    vocabulary: Mapping[str, Sequence[str]], args: Sequence[object]
) -> Iterator[tuple[str, str]]:
    """Yields words of a note's values that are other programs' names, each with its node's own word.

    `vocabulary`: has the names as `other_words` returns them.
    """
    for name, value in zip(args[::2], args[1::2], strict=True):
        others = vocabulary.get(f"{name}{_OTHERS}", ())
        if value in others:
            yield str(value), vocabulary[f"{name}{_THEIRS}"][others.index(str(value))]
        elif composed(str(value)) not in (known := vocabulary.get(str(name), ())) and word_after_bank(value) in known:
            yield str(value), word_after_bank(value)


def stands_in(node: str, word: str, known: str) -> str:
    """Message about a word that another replaces."""
    return f"{node} plays {short_repr(word)} by {known}, the nearest that it has"


def silent(node: str, name: str, word: str, *, note: bool = True) -> str:
    """Message about a note, else a parameter, with an unknown word, without the list of known ones."""
    if name == PLAY:
        return f"{node} has no value named {short_repr(word)}, and this note is played without it"
    return f"{node} has no {name} named {short_repr(word)}{', and this note is silent' if note else ''}"


_NOTE = Param("note", "int", 0, 0, 127)
_VELOCITY = Param("velocity", "float", 127.0, 1.0, 127.0)
