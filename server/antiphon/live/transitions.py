"""Performance words: which tracks play, and transitions between patterns of a track."""

import math
import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeAlias

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.suggestion import instead
from antiphon.live.patterns import arguments, queries
from antiphon.live.patterns.controls import ControlPattern
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.queries import Query, chance
from antiphon.live.patterns.spans import CycleEvent, Number, Span, exact
from antiphon.live.records import ScriptError, line_of
from antiphon.live.stage import LiveScript, LiveTrack, stage
from antiphon.live.vocabulary import reading, track

P: TypeAlias = Pattern[Any]
Change: TypeAlias = Callable[[P, P, Fraction], P]
Way: TypeAlias = Callable[[Query[Any], Callable[[Fraction], float], bool], Query[Any]]
"""Function that returns a query's events within a transition, by its progress, of the pattern that comes or goes."""
_STREAM = 1 << 38
_COMPARED_CYCLES = 4
"""Cycles compared for equality of two patterns."""


def hush(pattern: P | None = None) -> Any:
    """Silences all tracks and loops above this line; with a pattern, as in `every(4, hush)`, silences the pattern."""
    if isinstance(pattern, Pattern):
        return pattern._new(queries.silence)
    if pattern is not None:
        raise UsageError("hush takes nothing, or a pattern, as in every(4, hush)")
    script = reading("hush")
    script.tracks.clear()
    script.loops.clear()
    script.hushed = True
    return None


def mute(*names: str) -> None:
    """Silences tracks and loops by their names."""
    script = reading("mute")
    script.muted.update(dict.fromkeys(_names(names, "mute"), line_of(script.path)))


def solo(*names: str) -> None:
    """Plays only these tracks and loops, by their names."""
    script = reading("solo")
    script.soloed.update(dict.fromkeys(_names(names, "solo"), line_of(script.path)))


def _names(names: tuple[str, ...], what: str) -> tuple[str, ...]:
    if not names or not all(isinstance(name, str) for name in names):
        raise UsageError(f'{what} takes names of tracks and loops, as in {what}("beat")')
    return names


def silence_muted(script: LiveScript) -> None:
    """Removes muted tracks, and all others if some are soloed. Raises `ScriptError` for an unknown name."""
    known = [*(name for name, track in script.tracks.items() if not track.sets), *script.loops]
    for name, line in (script.muted | script.soloed).items():
        if name not in known:
            where = f"{os.path.basename(script.path)} line {line}"
            raise ScriptError(f"{where}: there is no track or loop {name!r}{instead(name, known)}")
    for name in known:
        if name in script.muted or (script.soloed and name not in script.soloed):
            script.hushed = True
            (script.tracks if name in script.tracks else script.loops).pop(name)


# ---- one pattern after another


def _mixed(old: P, new: P, how: Way, at: Fraction, cycles: Fraction) -> P:
    def share(time: Fraction) -> float:
        """Progress of the transition, 0 to 1."""
        return float(min(max((time - at) / cycles, Fraction(0)), Fraction(1)))

    before, after = how(old.events, share, False), how(new.events, share, True)

    def found(span: Span, seed: int) -> list[CycleEvent[Any]]:
        if span.begin >= at + cycles:
            return new.events(span, seed)
        return [*before(span, seed), *after(span, seed)]

    return new._new(found)


def _faded(query: Query[Any], share: Callable[[Fraction], float], comes: bool) -> Query[Any]:
    def found(span: Span, seed: int) -> list[CycleEvent[Any]]:
        events = []
        for event in query(span, seed):
            x = share(event.reach.begin)
            if comes and x >= 1.0:
                events.append(event)
                continue
            level = math.sin(math.pi / 2 * (x if comes else 1.0 - x))  # equal power
            name, most = ("gain", 1.0) if "s" in event.value or "gain" in event.value else ("velocity", 100.0)
            least = 1.0 if name == "velocity" else 0.0
            if level > 1e-6:
                now = max(least, float(event.value.get(name, most)) * level)
                events.append(event.with_value({**event.value, name: now}))
        return events

    return found


def _thin_events(query: Query[Any], share: Callable[[Fraction], float], comes: bool) -> Query[Any]:
    def stays(event: CycleEvent[Any], seed: int) -> bool:
        return (chance(seed, _STREAM, event.reach.begin) < share(event.reach.begin)) is comes

    return lambda span, seed: [event for event in query(span, seed) if stays(event, seed)]


def _cut(query: Query[Any], share: Callable[[Fraction], float], comes: bool) -> Query[Any]:
    return lambda span, seed: [e for e in query(span, seed) if (share(e.reach.begin) >= 1.0) is comes]


def _make_transition_word(how: Any, doc: str, default: int) -> Callable[..., None]:
    def word(
        name: str,
        pattern: ControlPattern | str,
        cycles: Number = default,
        on: str = "",
        beats: Number | None = None,
        **values: arguments.Argument,
    ) -> None:
        length = exact(cycles, "a transition")
        if not 0 <= length <= 1024:
            raise UsageError(f"a transition takes a number of cycles, 0 to 1,024, not {float(length):g}")
        track(name, pattern, on, beats, **values)
        tracks = stage().script.tracks

        def change(old: Any, new: Any, at: Fraction) -> Any:
            return _mixed(old, new, how, at, length) if length else new

        tracks[name] = replace(tracks[name], change=change, keeps=beats is None)

    word.__doc__ = f"As `track`, `on` and `beats` being at first those of what played; over a number of cycles {doc}."
    return word


xfade = _make_transition_word(_faded, "the pattern that played fades out and this one in", 1)
clutch = _make_transition_word(
    _thin_events, "more and more events are this pattern's, and fewer of the one that played", 2
)
jump = _make_transition_word(_cut, "the pattern that played goes on, and this one follows", 0)
for _word, _name in ((xfade, "xfade"), (clutch, "clutch"), (jump, "jump")):
    _word.__name__ = _word.__qualname__ = _name


def start_transitions(
    tracks: dict[str, LiveTrack], before: dict[str, LiveTrack], beat: Fraction
) -> dict[str, LiveTrack]:
    """Tracks of a version as they play from a beat on, with transitions from the previous tracks."""
    return {name: _track(track, before.get(name), beat) for name, track in tracks.items()}


def _track(new: LiveTrack, old: LiveTrack | None, beat: Fraction) -> LiveTrack:
    change = new.change
    if change is None:
        return new
    if old is not None:
        new = replace(new, on=new.on or old.on, beats=old.beats if new.keeps else new.beats)
    played = new.pattern._new(queries.silence) if old is None else old.base or old.pattern
    at = beat / new.beats
    if old is not None and old.beats == new.beats:
        before, after = (one.query(at, at + _COMPARED_CYCLES) for one in (played, new.pattern))
        if before == after:
            return replace(new, pattern=old.pattern, base=new.pattern)
    return replace(new, pattern=change(played, new.pattern, at), base=new.pattern)
