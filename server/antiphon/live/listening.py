"""Words by which a live script reacts to notes emitted by nodes, such as `hum`, and to levels.

They are cues with names of their own: `hum:note` is cued with each note that the node `hum` emits, `tone.cutoff` with
each value that another client sets. While a file is rendered there is no other client; an input's notes and levels
occur as they do live.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias, TypeVar

from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph.graph import IN, OUT
from antiphon.kernel.runtime.suggestion import instead
from antiphon.live.patterns import queries
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.spans import Number, exact, of_call
from antiphon.live.records import check_node_name, line_of
from antiphon.live.stage import stage
from antiphon.live.vocabulary import beat, loop, sync

NOTE = ":note"
"""Suffix of cue names for notes of the node named before it."""
NoteBody = TypeVar("NoteBody", bound=Callable[[int, int], Any])
LevelBody = TypeVar("LevelBody", bound=Callable[[], Any])
_Pass: TypeAlias = Generator[Any, Any, None]
MAX_LEVELS = 64
START_TOLERANCE = Fraction(1, 64)
"""Beats after a multiple of the quantum within which a run still begins at once, since chord notes arrive in turn."""
VOICES = 16
"""Maximum concurrent runs of a function; further notes are ignored."""


class NodeNote(NamedTuple):
    """A note emitted by a node."""

    note: int  # 0 to 127
    velocity: int  # 1 to 127
    channel: int = 1  # 1 to 16


def on_note(node: str, *, on: str = "", name: str = "", quantum: Number = 0) -> Callable[[NoteBody], NoteBody]:
    """Runs a function for each note that a node emits: `@on_note("hum")` above `def answer(note, velocity):`.

    It is a loop that waits for the cue `hum:note`. While one run waits by `yield`, further notes begin other runs, 16
    at most.

    Args:
        node: The node that emits, such as `hum`.
        on: The node that it plays unless it names another.
        quantum: Beats at whose next multiple a run begins, such as 1/2; 0 begins at once.
    """
    cue, grid = f"{check_node_name(node)}{NOTE}", exact(quantum, "quantum")
    if grid < 0:
        raise UsageError(f"quantum takes a number of beats from 0, not {float(grid):g}")
    _listen(node)

    def put(function: NoteBody) -> NoteBody:
        def body() -> _Pass:
            note, velocity, *_ = yield sync(cue)
            if grid and (late := beat() % grid) > START_TOLERANCE:
                yield grid - late
            yield from _rest(function(note, velocity))

        _register_cue_loop(body, on, name or _named(function))
        return function

    return put


def on_level(node: str, above: float, *, on: str = "", name: str = "") -> Callable[[LevelBody], LevelBody]:
    """Runs a function each time the level of a node's output rises above a value: `@on_level("in", above=-30)`.

    Args:
        node: The node; `in` and `out` are the server's own.
        above: Threshold of the RMS level in dBFS, -120 to 0.
        on: The node that it plays unless it names another.
    """
    if isinstance(above, bool) or not isinstance(above, int | float) or not -120 <= above <= 0:
        raise UsageError(f"above takes -120 to 0 dB, not {str(above)[:40]!r}")
    levels = stage().script.levels
    if len(levels) >= MAX_LEVELS:
        raise UsageError(f"a script watches at most {MAX_LEVELS} levels")
    levels.append((check_node_name(node), float(above)))
    _listen(node)
    cue = level_cue(node, above)

    def put(function: LevelBody) -> LevelBody:
        def body() -> _Pass:
            yield sync(cue)
            yield from _rest(function())

        _register_cue_loop(body, on, name or _named(function))
        return function

    return put


def missing(listens: Iterable[tuple[str, int]], nodes: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yields nodes that a script listens to but its patch lacks; `listens`: pairs, as in `LiveScript`."""
    for node, line in listens:
        if node not in nodes and node not in (IN, OUT):
            yield line, f"the patch has no node {node!r}, and nothing answers to it{instead(node, nodes)}"


def _register_cue_loop(body: Callable[[], Any], on: str, name: str) -> None:
    loop(on=on, name=name)(body)
    loops = stage().script.loops
    loops[name] = replace(loops[name], voices=VOICES)


def _listen(node: str) -> None:
    script = stage().script
    script.listens.setdefault(node, line_of(script.path))


def level_cue(node: str, above: float) -> str:
    """Cue name of a node's level rising above a value in dB."""
    return f"{node}:above:{above:g}"


def cue_value(name: str, value: Any) -> Any:
    """Converts the value of an external cue for the script: a note becomes a `NodeNote`."""
    return NodeNote(*value) if name.endswith(NOTE) and isinstance(value, list) else value


def _rest(result: object) -> _Pass:
    if isinstance(result, Generator):
        yield from result


def _named(function: object) -> str:
    return str(getattr(function, "__name__", "answer"))


def slider(value: float = 0.5, low: float = 0.0, high: float = 1.0) -> Any:
    """A number shown as a slider in the page's text, such as `slider(.5, 0, 1)`; moving it takes effect at once.

    Returns a signal; in a loop the number itself. When rendered to a file, or without a page, it is `value`.

    Raises:
        UsageError: `value` is not within `low` and `high`.
    """
    given = (value, low, high)
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in given) or not low <= value <= high:
        raise UsageError("slider takes a value, the least and the most, as in slider(.5, 0, 1)")
    here = stage()
    values, place = here.script.sliders, of_call()
    if not place:
        return float(value) if here.source else Pattern(queries.signal(lambda time, seed: float(value)))
    key = place[0][:2]
    values.setdefault(key, float(value))
    return values[key] if here.source else Pattern(queries.signal(lambda time, seed: values[key]))
