"""Lessons: reads and checks their files, and judges the tries of a learner.

A lesson is `lessons/PATH/NN-name.md`: a head of TOML between two lines `+++`, and its steps in Markdown, each below a
line `## Title`. Every kind of try is observed as messages: a script's events, received OSC, the levels of a sound. One
function compares them with the lesson's expectations.
"""

from __future__ import annotations

import re
import shlex
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from antiphon.demo import HUM
from antiphon.kernel.errors import AntiphonError, FileError
from antiphon.kernel.runtime import resources
from antiphon.kernel.runtime.extras import absent
from antiphon.kernel.runtime.typed import Misfit, convert
from antiphon.operations.drums import DRUM_NOTES, DRUMS, is_same_drum
from antiphon.operations.patch_list import playable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from antiphon.kernel.session.messages import FindParam
    from antiphon.kernel.session.notes import Players
    from antiphon.live.records import LiveEvent

SAMPLER = "drums"
"""Node of drums in the patches of lessons."""
PATHS = {"code": "I code music", "play": "I play or sing", "files": "I have recordings", "send": "I send OSC or MIDI"}
"""The paths of lessons and their titles, in order."""
MOST_WORDS = 90
LEAST_TRIES = 3
"""Minimum number of words in a step, and of wrong tries in a lesson."""
FRAME_SECONDS = 0.03
"""Seconds between two levels of a sound, equal to those of the server's meters."""
BEATS = 4
SCRIPT = "lesson.py"
"""File name of a script in its errors."""
TOLERANCE = 1e-3  # of a beat
_RISE = 6.0  # dB between two levels at an onset
_FLOOR = 1e-6
SESSION = ("osc", "loudness", "onsets")
"""Kinds of checks that observe the running server for a while."""


NOTES = re.compile("^$|/note/(on|event)$")


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Expectation on some of the messages; without `address` on those that play a note or a sound."""

    address: str = ""  # `*` stands for any letters
    sound: str = ""  # the name of a sampler's sound
    on: str = ""  # the node
    at: tuple[float, ...] | None = None  # all beats on which one begins, from 0
    least: float = 1  # how many there are, or a level in dB
    most: float = float("inf")
    chord: int = 1  # notes that begin together
    value: tuple[float, float] | None = None  # lowest and highest of their last number
    args: int = 0  # arguments, at least
    differ: str = ""  # a value of the notes that is not always the same, "value" for the last number, or "bars"

    @property
    def what(self) -> str:
        """The messages' name, for a sentence."""
        if self.sound or not NOTES.search(self.address):
            return self.sound or self.address
        return f"the notes of {self.on}" if self.on else "the notes"


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a try is observed, and the expectations, all of which must be met."""

    kind: Literal["events", "parameter", "loudness", "onsets", "osc", "file"]
    expect: Annotated[tuple[Expect, ...], msgspec.Meta(min_length=1)]
    bars: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1


class WrongTry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"text": "try"}):
    """A mistake, in the form of a solution, and the answer to it."""

    text: str
    answer: str


class LessonWork(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Processing of a file by a button: paths of jobs, each on the previous result; `body` is common to all."""

    title: str
    jobs: tuple[str, ...]
    body: dict[str, Any] = {}


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The head of a lesson's file. `start`, `solution` and tries are lines of a script, or messages, one per line."""

    title: str
    path: str
    task: str
    solution: str
    check: Check
    hint: str
    why: str
    wrong: tuple[WrongTry, ...]
    patch: str = "band"
    start: str = ""
    controls: tuple[str, ...] = ()  # addresses of parameters that the page shows
    keys: bool = False  # whether the page shows its piano
    sound: str = ""  # a sound that ships, offered as input or as a file
    work: tuple[LessonWork, ...] = ()  # what can be done with `sound`, one of which is right


@dataclass(frozen=True, slots=True, eq=False)
class LessonFile:
    """A lesson from its file. `name`: the file's, without suffix; `steps`: titles and texts."""

    name: str
    head: Head
    steps: tuple[tuple[str, str], ...]

    def script(self, lines: str) -> str:
        """Makes a complete script of some lines."""
        return f'from antiphon.live import *\n\npatch("{self.head.patch}")\n{lines.strip()}\n'

    def plain(self, port: int, host: str = "") -> dict[str, Any]:
        """The lesson as JSON data; lines of scripts are completed.

        `port`: OSC port, for {port} in its texts. `host`: this machine's address in its network, for {host}.
        """
        filled = partial(_filled, {"{port}": str(port), "{host}": host or "this machine's address"})
        head, own = (
            self.head,
            {"title", "patch", "task", "solution", "start", "why", "controls", "keys", "sound", "work"},
        )
        whole = self.script if head.check.kind == "events" else str.strip
        told = {key: value for key, value in msgspec.to_builtins(head).items() if key in own}
        steps = [{"title": title, "text": filled(text)} for title, text in self.steps]
        return told | {
            "path": head.path,
            "name": self.name,
            "kind": head.check.kind,
            "start": whole(head.start),
            "solution": whole(head.solution),
            "hint": filled(head.hint),
            "steps": steps,
        }


def _filled(known: Mapping[str, str], text: str) -> str:
    for place, value in known.items():
        text = text.replace(place, value)
    return text


@dataclass(frozen=True, slots=True)
class HeardSound:
    """One message of a try: beats or seconds from the start, an address and arguments."""

    at: float
    address: str
    args: tuple[Any, ...] = ()

    @property
    def node(self) -> str:
        """The node that it is of, or ""."""
        if self.address.startswith("/note/"):
            place = 4 if self.address == "/note/event" else 3
            return str(self.args[place]) if len(self.args) > place else ""
        if self.address == "/meter":
            return str(self.args[0]) if self.args else ""
        return self.address.split("/")[2] if self.address.startswith("/node/") else ""

    @property
    def plays(self) -> bool:
        """Whether a note or a sound begins."""
        if self.address in ("/note/on", "/note/event"):
            place = 1 if self.address == "/note/on" else 2
            return len(self.args) <= place or bool(self.args[place])
        return self.address.startswith("/node/") and self.address.endswith("/play")

    def sounds(self, drum: str) -> bool:
        """Whether it plays a sound, by any of its names, or by its note on a node of drums."""
        if self.address in ("/note/on", "/note/event"):
            note = self.args[0 if self.address == "/note/on" else 1]
            return self.node == SAMPLER and DRUM_NOTES.get(note, note) == DRUMS.get(drum)
        return is_same_drum(self.values.get("s"), drum)

    @property
    def values(self) -> Mapping[str, Any]:
        """Values of a sampler's note, by name."""
        return dict(zip(map(str, self.args[::2]), self.args[1::2], strict=False))

    @property
    def number(self) -> float | None:
        """The last number in the arguments; for a parameter the first, since its second is a time."""
        args = self.args[:1] if self.address.startswith("/node/") else self.args
        found = [float(arg) for arg in args if isinstance(arg, int | float)]
        return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class LessonOutcome:
    """Result of a check. `fact`: the expectation that failed, which identifies equal mistakes; None if none failed."""

    sentence: str = ""
    fact: tuple[Any, ...] | None = None

    @property
    def passed(self) -> bool:
        """Whether all expectations were met."""
        return self.fact is None


def judge(check: Check, heard: Sequence[HeardSound]) -> LessonOutcome:
    """Compares the messages of a try with the expectations; returns the first difference."""
    for place, one in enumerate(check.expect):
        found = [message for message in heard if _is_of(message, one, check.kind)]
        missing = _missing(check, one, found, heard)
        if missing is not None:
            sentence, fact = missing
            if check.kind == "file":  # what was done instead tells mistakes apart
                fact += tuple(sorted(message.address for message in heard if message.address.startswith("/job/")))
            return LessonOutcome(sentence.replace("the ", "The ", sentence.startswith("the ")), (place, *fact))
    return LessonOutcome()


def applies_to_message(check: Check, message: HeardSound) -> bool:
    """Whether a check uses a message."""
    return any(_is_of(message, one, check.kind) for one in check.expect)


def _is_of(message: HeardSound, one: Expect, kind: str) -> bool:
    if kind in ("loudness", "onsets"):
        return message.address == "/meter" and message.node == (one.on or "in")
    right = fnmatchcase(message.address, one.address) if one.address else message.plays
    return right and (not one.on or message.node == one.on) and (not one.sound or message.sounds(one.sound))


def _missing(
    check: Check, one: Expect, found: Sequence[HeardSound], heard: Sequence[HeardSound]
) -> tuple[str, tuple[Any, ...]] | None:
    """Returns the sentence on an unmet expectation, and the fact; None if it is met. `found`: its part of `heard`."""
    if check.kind in ("loudness", "onsets"):
        return _unheard(check.kind, one, found)
    what = one.what
    if not found and (one.least > 0 or one.at):
        if check.kind == "parameter":
            return f"The patch that plays has no {what}: load the patch of the lesson.", ("none",)
        others = _unique(other.values["s"] for other in heard if other.plays and "s" in other.values)
        there = f"; there is {', '.join(map(str, others[:4]))}" if one.sound and others else ""
        return f"Nothing of {what} is there yet{there}.", ("none",)
    at = sorted({round(message.at, 3) for message in found})
    if one.at is not None and [round(beat, 2) for beat in at] != sorted(round(beat, 2) for beat in one.at):
        return f"You have {what} on beat {_beats(at)}; the task is beat {_beats(one.at)}.", ("at", *at)
    if not one.least <= len(found) <= one.most:
        where = "" if check.kind != "events" else " in a bar" if check.bars == 1 else f" in {check.bars} bars"
        return f"Of {what} there are {len(found)}{where}; the task is {_between(one)}.", ("count", len(found))
    if (shortest := min((len(message.args) for message in found), default=one.args)) < one.args:
        return f"{what} came with {shortest} arguments; the task is {one.args}.", ("args", shortest)
    together = max((sum(abs(other.at - beat) < TOLERANCE for other in found) for beat in at), default=0)
    if together < one.chord:
        return f"Of {what} {together} begin at a time; the task is {one.chord}.", ("chord", together)
    numbers = [message.number for message in found]
    if one.value is not None and not any(n is not None and one.value[0] <= n <= one.value[1] for n in numbers):
        last = numbers[-1]
        side = "none" if last is None else "low" if last < one.value[0] else "high"
        shown = "no number" if last is None else f"{last:g}"
        return f"{what} is {shown}; the task is {one.value[0]:g} to {one.value[1]:g}.", ("value", side, last)
    if one.differ and len(kinds := _kinds(one.differ, found)) < 2:
        same = {"value": "it", "bars": "each bar"}.get(one.differ, f"the {one.differ}")
        return f"Of {what} {same} is always the same.", ("same", *kinds)
    return None


def _unheard(kind: str, one: Expect, found: Sequence[HeardSound]) -> tuple[str, tuple[Any, ...]] | None:
    """Does what `_missing` does for levels: returns the sentence on the unmet expectation, and the fact."""
    import numpy as np

    peaks, powers = np.array([[float(value) for value in message.args[1:3]] for message in found] or [[0.0, 0.0]]).T
    name = "the input" if one.on in ("", "in") else one.on
    if kind == "loudness":
        width = max(1, min(len(powers), round(1 / FRAME_SECONDS)))
        mean = np.convolve(powers**2, np.ones(width) / width, "valid").max()
        level = round(float(10 * np.log10(max(mean, _FLOOR**2))))
        if one.least <= level <= one.most:
            return None
        return f"{name} reaches {level} dB; the task is {_between(one)} dB.", ("level", level > one.most, level)
    levels = 20 * np.log10(np.maximum(peaks, _FLOOR))
    rises = (levels[1:] > -45) & (levels[1:] - np.minimum(levels[:-1], np.r_[levels[0], levels[:-2]]) > _RISE)
    count = int((np.diff(np.r_[False, rises].astype(int)) == 1).sum())
    if one.least <= count <= one.most:
        return None
    return f"{name} has {count} beginnings; the task is {_between(one)}.", ("onsets", count > one.most, count)


def _kinds(differ: str, found: Sequence[HeardSound]) -> list[Any]:
    """The different values of a name among messages, or the different bars."""
    if differ == "bars":
        bars: dict[int, list[Any]] = {}
        for message in found:
            bars.setdefault(int(message.at // BEATS), []).append((round(message.at % BEATS, 3), message.args))
        return [tuple(sorted(map(str, bar))) for bar in _unique(bars.values())]
    if differ == "value":
        return _unique(message.number for message in found)
    if differ == "note":
        place = 1 if found[0].address == "/note/event" else 0  # behind its beat
        return _unique(message.args[place] for message in found if len(message.args) > place)
    return _unique(message.values.get(differ) for message in found)


def _unique(values: Any) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept


def _beats(at: Sequence[float]) -> str:
    shown = [f"{beat + 1:.3g}" for beat in at[:8]]
    return ", ".join(shown) + (" and more" if len(at) > 8 else "")


def _between(one: Expect) -> str:
    return f"at least {one.least:g}" if one.most == float("inf") else f"{one.least:g} to {one.most:g}"


# ---- what a try is


def judge_script(lesson: LessonFile, events_until: Callable[[Fraction], Sequence[LiveEvent]]) -> LessonOutcome:
    """Judges a script's first bars, which the patch must accept. Raises nothing: a script's error is the outcome."""
    from antiphon.live.records import ScriptError
    from antiphon.offline.script_run import commands

    check = lesson.head.check
    try:
        events = events_until(Fraction(BEATS * check.bars))
        commands(events, SCRIPT, *_patch_param_functions(lesson.head.patch))
    except ScriptError as error:  # equal errors on other lines are equal
        sentence = str(error).replace(f"{SCRIPT} line", "Line")
        return LessonOutcome(sentence, ("error", sentence.split(": ", 1)[-1]))
    return judge(check, [HeardSound(float(event.beat), event.address, tuple(event.args)) for event in events])


@cache
def _patch_param_functions(patch: str) -> tuple[FindParam, Players]:
    """Functions that find the parameters of a patch, and its nodes that play notes."""
    from antiphon.kernel.graph.patch import load
    from antiphon.kernel.plugins import loader
    from antiphon.kernel.session.notes import Players
    from antiphon.offline.commands import param_finder

    catalog = loader.load(check=False).catalog
    graph = load(patch, catalog).graph
    return param_finder(graph, catalog), Players(graph, catalog)


def _frames_of(path: Path, seconds: float) -> NDArray[np.float32]:
    """Frames of a sound as mono, `[frames, samples]`. Raises FileError: it is not a sound, or shorter than a frame."""
    from antiphon.files.audiofile import read

    sound = read(str(path))
    frame = max(1, round(seconds * sound.rate))
    if sound.samples.shape[1] < frame:
        raise FileError(f"{path.name} is too short")
    mono: NDArray[np.float32] = sound.samples.mean(axis=0)
    return mono[: mono.size // frame * frame].reshape(-1, frame)


def levels(name: str) -> list[HeardSound]:
    """Levels of a shipped sound, as the server's meters would report them for its input."""
    return [
        HeardSound(place * FRAME_SECONDS, "/meter", ("in", float(abs(one).max()), float((one**2).mean() ** 0.5)))
        for place, one in enumerate(_frames_of(HUM.with_name(name), FRAME_SECONDS))
    ]


def result_levels(path: Path) -> list[HeardSound]:
    """The loudness of a sound, and of its quiet parts, in dB; empty for other files."""
    import numpy as np

    try:
        found = 10 * np.log10(np.maximum(np.square(_frames_of(path, 0.05)).mean(axis=1), 1e-12))
    except FileError:
        return []
    measured = {"loudness": float(found.max()), "quiet": float(np.percentile(found, 10))}
    return [HeardSound(0.0, f"/result/{name}", (level,)) for name, level in measured.items()]


def refusal(patch: str, address: str, args: Sequence[Any]) -> str:
    """Reason why a patch does not accept a note or a value; "" if it does, and for other messages."""
    from antiphon.kernel.session.commands import NOW
    from antiphon.offline.event_file import commands_of

    if address == "/at" and len(args) > 1:
        return refusal(patch, str(args[1]), args[2:])
    if not patch or not args or not re.match(r"/note/(on|off)$|/node/\w+/\w+(/norm)?$", address):
        return ""
    try:
        commands_of(address, args, NOW, *_patch_param_functions(patch))
    except AntiphonError as error:
        return str(error)
    return ""


def parse_messages(lines: str) -> list[HeardSound]:
    """Parses the messages of a lesson, one per line, or the name of a shipped sound."""
    found: list[HeardSound] = []
    for line in filter(None, map(str.strip, lines.splitlines())):
        if not line.startswith("/"):
            found += levels(line)
            continue
        address, *args = shlex.split(line)
        found.append(HeardSound(0.5 * len(found), address, tuple(map(_argument, args))))
    return found


def _argument(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@cache
def initial_values(patch: str) -> tuple[HeardSound, ...]:
    """Initial values of the parameters of a patch."""
    from antiphon.kernel.graph.patch import load
    from antiphon.kernel.plugins import loader

    catalog = loader.load(check=False).catalog
    return tuple(
        HeardSound(0.0, f"/node/{node.name}/{param.name}", (node.values.get(param.name, param.default),))
        for node in load(patch, catalog).graph.nodes
        for param in catalog.types[node.type].params
    )


def judge_lines(lesson: LessonFile, lines: str) -> LessonOutcome:
    """Judges lines in the form of a solution."""
    check = lesson.head.check
    if check.kind == "events":
        return judge_script(lesson, lambda beats: _events(lesson.script(lines), beats))
    heard = parse_messages(lines)
    if check.kind == "parameter":
        moved = {message.address for message in heard}
        heard = [one for one in initial_values(lesson.head.patch) if one.address not in moved] + heard
    return judge(check, heard)


def _events(script: str, beats: Fraction) -> list[LiveEvent]:
    from antiphon.live.performance import Performance
    from antiphon.live.reading import read

    return Performance(read(SCRIPT, script, patch_plays=True)).until(beats)


def answer_of(lesson: LessonFile, outcome: LessonOutcome) -> str:
    """Sentence on an outcome: the answer to the known mistake, or the difference."""
    if outcome.passed:
        return lesson.head.why
    with _one_at_a_time:
        known, fact = _answers_by_fact(lesson), outcome.fact or ()
    if fact in known or fact[1] not in ("value", "level", "onsets") or fact[-1] is None:
        return known.get(fact, outcome.sentence)
    # of what is measured the nearest mistake on the same side
    near = [one for one in known if one[:3] == fact[:3] and one[-1] is not None]
    return known[min(near, key=lambda one: abs(one[-1] - fact[-1]))] if near else outcome.sentence


_one_at_a_time = threading.Lock()
"""Lock for running scripts, since their words have one stage per process."""


@cache
def _answers_by_fact(lesson: LessonFile) -> dict[tuple[Any, ...], str]:
    """The answers to mistakes by their facts; the first of two with the same fact counts."""
    return {fact: one.answer for one in reversed(lesson.head.wrong) if (fact := judge_lines(lesson, one.text).fact)}


# ---- files


def folder() -> Path:
    """Folder of the shipped lessons."""
    return resources.folder("lessons")


@cache
def lessons() -> tuple[LessonFile, ...]:
    """All lessons whose plugins are installed, by path and number. Raises FileError for one that cannot be read."""
    found = (read_lesson(file) for path in PATHS for file in sorted((folder() / path).glob("*.md")))
    return tuple(lesson for lesson in found if _is_playable(lesson))


def _is_playable(lesson: LessonFile) -> bool:
    used = [job.split("/")[2:] for work in lesson.head.work for job in work.jobs]
    patches = {lesson.head.patch, *(name for kind, name in used if kind == "render")}
    nodes = {name for kind, name in used if kind == "run"}
    return not nodes & absent().keys() and all(playable(patch) for patch in patches)


def find(path: str, name: str) -> LessonFile | None:
    """The lesson of that path and name, or None."""
    return next((one for one in lessons() if (one.head.path, one.name) == (path, name)), None)


def read_lesson(file: Path) -> LessonFile:
    """Reads a lesson. Raises FileError: it cannot be read, or its head does not fit, with the key."""
    where = f"{file.parent.name}/{file.name}"
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"cannot read the lesson {where}: {error}") from None
    parts = text.split("+++\n", 2)
    if len(parts) != 3 or parts[0].strip():
        raise FileError(f"{where} has no head: a lesson begins with lines of TOML between two lines +++")
    try:
        head = convert(tomllib.loads(parts[1]), Head, "the head of a lesson")
    except (tomllib.TOMLDecodeError, Misfit) as error:
        raise FileError(f"{where}: {error}") from None
    if head.path not in PATHS:
        raise FileError(f"{where}: path is one of {', '.join(PATHS)}, not {head.path!r}")
    steps = [block.partition("\n") for block in f"\n{parts[2]}".split("\n## ")[1:]]
    return LessonFile(file.stem, head, tuple((title.strip(), body.strip()) for title, _, body in steps))


def problems(lesson: LessonFile) -> Iterator[str]:
    """Faults of a lesson, a sentence each; empty for a usable one."""
    head = lesson.head
    for title, text in lesson.steps:
        if (words := len(text.split())) > MOST_WORDS:
            yield f"the step {title!r} has {words} words; {MOST_WORDS} at most"
    if not lesson.steps:
        yield "it has no step; a step begins with ## and its title"
    if not (solved := judge_lines(lesson, head.solution)).passed:
        yield f"its solution does not pass: {solved.sentence}"
    if judge_lines(lesson, head.start).passed:
        yield "its start passes already"
    if len(head.wrong) < LEAST_TRIES:
        yield f"it has {len(head.wrong)} wrong tries; {LEAST_TRIES} at least"
    for one in head.wrong:
        outcome = judge_lines(lesson, one.text)
        if outcome.passed:
            yield f"a wrong try passes: {one.text.strip()}"
        elif (said := answer_of(lesson, outcome)) != one.answer:
            yield f"a wrong try gets the answer of another: {one.text.strip()}: {said}"
