"""The words of live scripts besides patterns: patch, tempo, tracks, loops, nodes, notes, random choices, cues."""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, TypeAlias, TypeVar, overload

from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph.clock import MAX_STEP, MAX_SWING, MIN_STEP
from antiphon.kernel.runtime.sound_packs import sound_packs
from antiphon.live.notes import COMMON_VALUES, SAMPLER, to_commands, to_macros
from antiphon.live.patterns import arguments, queries
from antiphon.live.patterns.arguments import name_value
from antiphon.live.patterns.controls import ControlPattern, mini, plain_number, s, unnamed
from antiphon.live.patterns.dialects import DIALECTS, begin_dialect
from antiphon.live.patterns.harmony import Notes, chord as chord_notes, note_numbers
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.singing import SungPattern
from antiphon.live.patterns.spans import Number, Places, exact, mark, of_call
from antiphon.live.patterns.words.harmony import chords
from antiphon.live.patterns.words.making import convert_to_pattern
from antiphon.live.patterns.words.picking import pick_from
from antiphon.live.patterns.words.table import Change, print_remark_once
from antiphon.live.records import MIDI, OUTSIDE, PLAY, SET, TEMPO, LiveEvent, check_node_name, line_of
from antiphon.live.stage import CueWait, LiveLoop, LiveScript, LiveTrack, StopLoop, stage

_SIGNS = frozenset("<>[]{}*/~|,!@")
"""Characters of mini-notation that do not occur in chord names."""
Body: TypeAlias = Callable[[], Any]
GLIDES = 32
"""Samples of a signal per cycle of a parameter's pattern."""
SINGER = "sing"
"""Default node of a singing track."""
MAX_BEATS = 65536
MAX_NAMES = 256
"""Maximum number of tracks in a script, and of loops."""
_HIGHLIGHT_BEATS = Fraction(1, 4)
"""Length in beats for which an editor highlights a set value."""


# ---- the script


def patch(name: str) -> None:
    """Names the patch that the script plays: `patch("pads")` or `patch("mine.toml")`."""
    if not isinstance(name, str) or not name:
        raise UsageError('patch takes a name, as in patch("pads")')
    script = reading("patch")
    script.patch, script.patch_line = name, line_of(script.path)


def seed(number: int) -> None:
    """Sets the random seed: all random choices of the script follow from it."""
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**63:
        raise UsageError(f"seed takes a whole number from 0, not {repr(number)[:40]}")
    reading("seed").seed = number


def dialect(name: str) -> None:
    """Plays chance, signals and rhythms of the script as in `strudel`, `tidal` (to 1.9) or `tidal 1.10`.

    It stands at the beginning of translated scripts. `seed` has Antiphon's own chance again.
    """
    if name not in DIALECTS:
        raise UsageError(f"dialect takes {', '.join(map(repr, DIALECTS))}, not {repr(name)[:40]}")
    reading("dialect").seed = DIALECTS[name]
    begin_dialect(DIALECTS[name])


def samples(pack: str, on: str = SAMPLER) -> None:
    """Plays the sounds of an added pack too, and those of a name that the kit has in place of the kit's.

    Args:
        pack: Name of the pack in your library, or what `antiphon sounds add` took; a folder is added by that command.
        on: Node, a sampler.

    Raises:
        UsageError: It is an address, and no pack of the library came from there.
    """
    if not isinstance(pack, str) or not pack:
        raise UsageError('samples takes the name of a pack, as in samples("mysamples")')
    if not any(pack in (known.folder.name, known.source) for known in sound_packs()):
        missing = f"there is no pack {pack[:60]} in your library; `antiphon sounds add {pack[:60]}` brings it"
        if ":" in pack or "/" in pack:  # an address: a script fetches nothing
            raise UsageError(missing)
        print_remark_once(f"{missing[0].upper()}{missing[1:]}.")
    node(on).packs = True


def meter(beats: Number) -> None:
    """Sets the beats of a bar, 4 by default. A track's cycle is a bar unless the track sets another length."""
    reading("meter").bar = _beats(beats, "meter")


def tempo(bpm: float, over: Number = 0) -> None:
    """Sets the tempo.

    Args:
        bpm: 10 to 999.
        over: Beats of the transition; 0 changes at once.
    """
    _send("/tempo", (_bpm(bpm), *((float(_beats(over, "over")),) if over else ())), TEMPO)


def setcps(cycles: Pattern[Any] | str | float) -> None:
    """Sets the tempo in cycles a second, as in Tidal and Strudel: `setcps(0.5)` is `tempo(120)` in bars of four.

    A pattern sets it repeatedly: `setcps("<0.5 0.6>")` at each bar.
    """
    _set_pace(cycles, 60.0, "setcps", "0.5")


def setcpm(cycles: Pattern[Any] | str | float) -> None:
    """Sets the tempo in cycles a minute, a number or a pattern: `setcpm(30)` is `tempo(120)` in bars of four."""
    _set_pace(cycles, 1.0, "setcpm", "30")


def _set_pace(cycles: object, factor: float, word: str, example: str) -> None:
    script = reading(word)
    beats = factor * float(script.bar)
    if isinstance(cycles, bool) or not isinstance(cycles, Pattern | str | int | float):
        raise UsageError(f"{word} takes a number or a pattern, as in {word}({example}), not {repr(cycles)[:40]}")
    if isinstance(cycles, int | float):
        tempo(beats * float(cycles))
        return
    pattern = mini(cycles) if isinstance(cycles, str) else cycles
    values = queries.map_values(_stepped(pattern, script.seed)[0], lambda n: {"": _bpm(beats * plain_number(n))})
    script.tracks["/tempo"] = LiveTrack(
        "/tempo", Pattern(values), "/tempo", script.bar, sets=True, line=line_of(script.path)
    )


def swing(amount: float, step: Number = 0.5) -> None:
    """Delays every second step of all tracks and loops from here on; the beat itself stays even.

    Args:
        amount: Delay as a fraction of a step, 0 to 0.75: 0 is even, 1/3 gives triplets.
        step: Length in beats, 1/16 to 4: 1/2 swings eighths, 1/4 sixteenths.
    """
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount <= MAX_SWING:
        raise UsageError(f"swing takes 0 to {MAX_SWING:g}, not {repr(amount)[:40]}")
    length = float(_beats(step, "step"))
    if not MIN_STEP <= length <= MAX_STEP:
        raise UsageError(f"a step of swing takes {MIN_STEP:g} to {MAX_STEP:g} beats, not {length:g}")
    _send("/swing", (float(amount), length), TEMPO)


def track(
    name: str, pattern: ControlPattern | str, on: str = "", beats: Number | None = None, **values: arguments.Argument
) -> None:
    """Plays a pattern under a name, from its cycle 0 at beat 0 on.

    Args:
        pattern: The pattern to play; a text names sounds, as for `s`.
        on: The node's name. By default every node that takes notes; `drums` for sounds, `sing` for sung notes.
        beats: Beats of a cycle; a bar by default.
        values: Further values, such as `gain=0.5` or `pan=sine`.
    """
    given: object = s(pattern) if isinstance(pattern, str) else pattern
    played = given.played() if isinstance(given, Change) else given
    plain = played if isinstance(played, Pattern) and not isinstance(played, ControlPattern) else None
    if plain is not None and all(isinstance(one.value, Mapping) for one in plain.query(0, 1)):
        played = unnamed(plain)
    if not isinstance(played, ControlPattern):
        raise UsageError(
            'track takes a pattern of sounds or notes, as s("bd*4"), note("c4 e4") or chords("<Am7 F^7>").voicing()'
        )
    script = reading("track")
    free_name(script.tracks, name, "tracks")
    where = check_node_name(on) if on else SINGER if isinstance(played, SungPattern) else ""
    if isinstance(played, SungPattern):
        _send(f"/node/{where}/lyrics", (played.lyrics,), SET)
    cycle = cycle_beats(script, beats)
    script.tracks[name] = LiveTrack(name, played.set(**values), where, cycle, line=line_of(script.path))


@overload
def loop(body: Body, /) -> Body: ...
@overload
def loop(*, every: Number | None = None, on: str = "", name: str = "") -> Callable[[Body], Body]: ...
def loop(
    body: Body | None = None, /, *, every: Number | None = None, on: str = "", name: str = ""
) -> Body | Callable[[Body], Body]:
    """Runs a function repeatedly, with `@loop` above it: its name is the loop's.

    In it `yield 1` waits a beat, and `yield sync("name")` waits for a cue. Each pass cues the loop's own name. Values
    in `memory()` persist to the next pass, and across changes of the script.

    Args:
        every: Minimum beats of a pass; required if the function does not yield.
        on: The node that it plays unless it names another.
    """

    def put(function: Body) -> Body:
        if not callable(function):
            raise UsageError("@loop stands above a function, as in @loop / def bass():")
        script = reading("loop")
        called = name or str(getattr(function, "__name__", "loop"))
        free_name(script.loops, called, "loops")
        script.loops[called] = LiveLoop(
            called,
            function,
            check_node_name(on) if on else "",
            _beats(every, "every") if every is not None else None,
            line_of(script.path),
        )
        return function

    return put if body is None else put(body)


# ---- in a loop


def play(notes: Notes, length: Number = 1, velocity: float = 100, on: str = "", at: Number = 0, **values: Any) -> None:
    """Plays a note, or several at once, now.

    Args:
        notes: A name, a number or the notes of a chord: `"c4"`, `60`, `chord("c4 minor")`, `"c4'minor"`.
        length: Length in beats.
        velocity: 1 to 127.
        on: The node; by default the loop's, or every node that takes notes.
        at: Beats from now.
        values: Further values, for a sampler such as `s="pluck"`, `pan=0.2`.
    """
    for number in note_numbers(notes):
        _played({"note": number, "velocity": velocity, **values}, exact(length, "length"), on, at)


def sample(sound: str, n: int = 0, on: str = "", at: Number = 0, **values: Any) -> None:
    """Plays a sound of a sampler now.

    Args:
        sound: Its folder's name, such as `"bd"`, also with a number, `"bd:2"`.
        on: The node; by default the loop's, or `drums`.
        at: Beats from now.
        values: Further values of the note, such as `speed=2`, `pan=0.2`, `gain=0.5`.
    """
    name, _, number = str(sound).partition(":")
    _played({"s": name, "n": arguments.figure(number)[0] if number else n, **values}, Fraction(1), on, at)


def once(pattern: ControlPattern | str, beats: Number | None = None, on: str = "", at: Number = 0) -> None:
    """Plays one cycle of a pattern from now on: the cycle with the number of the loop's pass.

    Args:
        beats: Beats of the cycle; a bar by default.
        on: The node; by default the loop's.
        at: Beats from now.
    """
    here = stage()
    length = _beats(beats, "beats") if beats is not None else here.script.bar
    played = s(pattern) if isinstance(pattern, str) else pattern
    for event in played.query(here.turn, here.turn + 1, here.script.seed):
        if event.begins and event.whole is not None:
            later = (event.whole.begin - here.turn) * length
            lasts = (event.whole.end - event.whole.begin) * length
            _played(event.value, lasts, on, exact(at, "at") + later, event.places, length)


def memory(**first: Any) -> SimpleNamespace:
    """Values that the loop keeps between passes, and across changes of the script.

    With `my = memory(step=0)` the loop has `my.step`, initially 0, and may set it.
    """
    kept = stage().memory
    for name, value in first.items():
        if not hasattr(kept, name):
            setattr(kept, name, value)
    return kept


def beat() -> Fraction:
    """The current beat, exact."""
    return stage().beat


def turn() -> int:
    """The number of the loop's pass, from 0."""
    return stage().turn


def cue(name: str, value: object = None) -> None:
    """Wakes every loop that waits for this name, now. `value`: the result of `yield sync(name)` there."""
    stage().cue(_cue_name(name), value)


def sync(name: str) -> CueWait:
    """Yielded by a loop to wait for a cue.

    `n = yield sync("drop")` waits for the next cue of that name, or takes one of this beat, and returns its value.

    Each pass of a loop cues the loop's own name.
    """
    return CueWait(_cue_name(name))


def stop() -> None:
    """Ends the loop that calls it."""
    raise StopLoop


# ---- nodes


class LiveNode:
    """A node of the patch. Its parameters are attributes: `node("denoise").threshold = -40`."""

    __slots__ = ("_name",)
    _name: str

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", check_node_name(name))

    def __setattr__(self, param: str, value: object) -> None:
        """Sets a parameter now. A pattern, or a text with spaces or brackets, sets it repeatedly from now on."""
        if isinstance(value, Pattern) or (isinstance(value, str) and any(c in value for c in " <[*")):
            self._follow(param, value)
            return
        if not isinstance(value, bool | int | float | str):
            raise UsageError(f"{self._name}.{param} takes a number, a word or a pattern, not {str(value)[:40]!r}")
        _send(f"/node/{self._name}/{param}", (value,), SET)

    def _follow(self, param: str, value: Pattern[Any] | str) -> None:
        pattern = mini(value) if isinstance(value, str) else value
        script = reading(f"a pattern for {self._name}.{param}")
        stepped, glides = _stepped(pattern, script.seed)  # a parameter moves between the values of a signal
        values = queries.map_values(stepped, lambda v: {param: v})
        name = f"{self._name}.{param}"
        free_name(script.tracks, name, "tracks")
        script.tracks[name] = LiveTrack(
            name, Pattern(values), self._name, script.bar, sets=True, glide=glides, line=line_of(script.path)
        )

    def ramp(self, beats: Number, **params: float) -> None:
        """Moves parameters to values over a number of beats: `ramp(8, cutoff=400)`."""
        seconds = stage().seconds(_beats(beats, "ramp"))
        for param, value in params.items():
            _send(f"/node/{self._name}/{param}", (value, seconds), SET)

    def reset(self) -> None:
        """Clears the node's state: echoes, reverberation, recorded loops."""
        _send(f"/node/{self._name}/reset", (), SET)


def node(name: str) -> LiveNode:
    """A node of the patch: `node("echo").feedback = 0.4`."""
    return LiveNode(name)


def chord(name: str) -> Any:
    """The notes of a chord: `chord("c4 minor7")`. A text with signs of mini-notation is passed to `chords`."""
    if isinstance(name, str) and not _SIGNS.isdisjoint(name):
        return chords(name)
    return chord_notes(name)


# ---- parts of the above


def reading(word: str) -> LiveScript:
    """The script being read. Raises `UsageError` in a loop."""
    here = stage()
    if here.source:
        raise UsageError(f"{word} stands in the script itself, not in a loop")
    return here.script


def free_name(known: dict[str, Any], name: str, what: str) -> str:
    """Checks that a name is unique, and returns it. Raises `UsageError` beyond `MAX_NAMES`."""
    if not isinstance(name, str) or not name or len(name) > 64 or not name.isprintable() or "/" in name:
        raise UsageError(f"a name has 1 to 64 characters and no slash, not {str(name)[:70]!r}")
    if name not in known and len(known) >= MAX_NAMES:
        raise UsageError(f"a script has at most {MAX_NAMES} {what}")
    return name


def cycle_beats(script: LiveScript, beats: Number | None) -> Fraction:
    """Beats of a cycle: the given ones, or a bar."""
    return script.bar if beats is None else _beats(beats, "beats")


def _stepped(pattern: Pattern[Any], seed: int) -> tuple[queries.Query[Any], bool]:
    """Events of a pattern, and whether it is a signal, which has no events and is sampled at regular times."""
    signal = all(event.whole is None for event in pattern.query(0, 1, seed))
    return (pattern.segment(GLIDES) if signal else pattern).events, signal


def _bpm(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 10 <= value <= 999:
        raise UsageError(f"tempo takes 10 to 999, not {repr(value)[:40]}")
    return value


def _beats(value: Number, what: str) -> Fraction:
    beats = exact(value, what)
    if not 0 < beats <= MAX_BEATS:
        raise UsageError(f"{what} takes a number of beats above 0, to {MAX_BEATS}, not {float(beats):g}")
    return beats


def _cue_name(name: str) -> str:
    if not isinstance(name, str) or not name or len(name) > 256:
        raise UsageError(f"a cue's name is a word, as in cue('drop'), not {str(name)[:40]!r}")
    return name


def _played(
    values: Any, length: Fraction, on: str, at: Number, places: Places = (), cycle: Fraction | None = None
) -> None:
    here = stage()
    later = exact(at, "at")
    if later < 0:
        raise UsageError("at takes beats from now, 0 or more")
    node = check_node_name(on) if on else here.on
    line = line_of(here.script.path)
    for event in to_macros(values, here.beat + later, node, here.source, line):
        here.send(event, SET)
    made = to_commands(
        values, here.beat + later, length, node, here.source, line, places or of_call(), cycle or here.script.bar
    )
    here.send(made, PLAY)


def _send(address: str, args: tuple[Any, ...], rank: int) -> None:
    here = stage()
    lit = mark(of_call(), _HIGHLIGHT_BEATS)
    here.send(LiveEvent(here.beat, address, args, here.source, line_of(here.script.path), lit), rank)


_ADDRESS = re.compile(r"(/[^\s#*,?\[\]{}/]{1,64}){1,16}")
_MAX_VALUES = 64


def osc(to: str, address: str, *values: Any, beats: Number | None = None) -> None:
    """Sends OSC over UDP to another program: in a loop at once, otherwise a message for each event of a pattern.

    Args:
        to: IP address and port, such as "127.0.0.1:9000".
        address: OSC address, such as "/light/1".
        beats: Beats of a cycle of the pattern; a bar by default.
    """
    where = f"{OUTSIDE}{_target(to)}{_address(address)}"
    here = stage()
    if here.source:
        if len(values) > _MAX_VALUES or not all(isinstance(value, bool | int | float | str) for value in values):
            raise UsageError(f"osc sends at most {_MAX_VALUES} numbers and words")
        here.send(LiveEvent(here.beat, where, values, here.source, line_of(here.script.path)), PLAY)
        return
    if len(values) != 1 or not isinstance(values[0], str | Pattern):
        raise UsageError('osc takes one pattern here, as in osc("127.0.0.1:9000", "/light", "1 0")')
    pattern = mini(values[0]) if isinstance(values[0], str) else values[0]
    name = free_name(here.script.tracks, where.replace("/", " ")[:64], "tracks")
    line = line_of(here.script.path)
    sent = pattern.map(lambda value: {"": value})
    here.script.tracks[name] = LiveTrack(name, sent, where, cycle_beats(here.script, beats), sets=True, line=line)


def midi_out(
    port: str, pattern: str | Pattern[Any], channel: int = 1, cc: int | None = None, beats: Number | None = None
) -> None:
    """Sends a pattern's notes, or values of a controller, to a MIDI port that `--midi-out` opened.

    Args:
        port: A part of the port's name; "" for every port.
        pattern: Notes, such as `note("c e g")`, reduced to what MIDI supports; with `cc` numbers of 0 to 127.
        channel: 1 to 16.
        cc: Number of a controller, 0 to 127.
        beats: Beats of a cycle of the pattern; a bar by default.
    """
    here = stage()
    if here.source:
        raise UsageError("midi_out stands in the script itself, not in a loop")
    if not isinstance(port, str) or len(port) > 64 or not port.isprintable():
        raise UsageError(f"midi_out takes a part of a port's name, not {name_value(port)}")
    for number, low, high, what in ((channel, 1, 16, "channel"), (0 if cc is None else cc, 0, 127, "cc")):
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise UsageError(f"{what} of midi_out takes {low} to {high}, not {name_value(number)}")
    sent = mini(pattern) if isinstance(pattern, str) and cc is not None else pattern
    if not isinstance(sent, Pattern):
        raise UsageError('midi_out takes a pattern, as in midi_out("synth", note("c e g")), or numbers with cc')
    to, line = f"{MIDI}{port}", line_of(here.script.path)
    name = free_name(here.script.tracks, f"midi {port} {channel} {'notes' if cc is None else cc}", "tracks")
    length = cycle_beats(here.script, beats)
    if cc is None:
        notes = sent.map(
            lambda value: {name: value[name] for name in COMMON_VALUES if name in value} | {"channel": channel}
        )
        here.script.tracks[name] = LiveTrack(name, notes, to, length, line=line)
        return
    values = sent.map(lambda value: {"": (cc, _seven_bits(value), channel, to)})
    here.script.tracks[name] = LiveTrack(name, values, f"{OUTSIDE}/cc", length, sets=True, line=line)


def _seven_bits(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 127:
        raise UsageError(f"a controller takes 0 to 127, not {name_value(value)}")
    return float(value)


def _target(to: Any) -> str:
    host, _, port = str(to).rpartition(":")
    try:
        found = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
        if found.version == 4 and 0 < int(port) < 65536:
            return f"{found}:{int(port)}"
    except ValueError:
        pass
    raise UsageError(f'osc sends to an IP address with a port, as in "127.0.0.1:9000", not to {name_value(to)}')


def _address(address: Any) -> str:
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise UsageError(f'an OSC address begins with a slash, as in "/light/1", not {name_value(address)}')
    return address


T = TypeVar("T")


@overload
def pick(values: Sequence[T]) -> T: ...
@overload
def pick(values: Any, numbers: Any) -> Pattern[Any]: ...
def pick(values: Any, numbers: Any = None) -> Any:
    """A random one of several values; the same script and seed pick the same."""
    if isinstance(values, Pattern):  # the pattern may come first
        values, numbers = numbers, values
    if numbers is not None:
        return pick_from(convert_to_pattern(numbers), values)
    given = list(values)
    if not given:
        raise UsageError("pick takes one or more values, as in pick(['c4', 'e4'])")
    return given[int(stage().random() * len(given))]


def maybe(share: float = 0.5) -> bool:
    """True at random, with probability `share`, 0 to 1."""
    return stage().random() < share


def between(low: float, high: float) -> float:
    """A random number from `low` to below `high`."""
    return low + (high - low) * stage().random()
