"""The table `[lights]` of a patch: fixtures, looks, effects, and the scenes that carry looks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon.api.backends.files import Misfit, convert_fields
from antiphon.api.backends.runtime import instead
from antiphon.api.backends.signal import named_note
from antiphon_lights.targets import SLOTS

MAX_UNIVERSES, MAX_SCENES = 64, 128
MOST = {"fixtures": 512, "looks": 128, "effects": 64}
T = TypeVar("T")
Level: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_DRIVE = re.compile(
    r"(?P<clock>beat|bar|section)|level (?P<heard>\S{1,64})|note (?P<note>\S{1,5})(?: (?P<player>\S{1,64}))?"
    r"|(?P<node>[^\s.]{1,64})\.(?P<param>[^\s.]{1,64})"
)
_DRIVES = 'beat, bar, section, "note c4", "note c4 NODE", "level NODE" or "NODE.PARAM", a macro as "macro.NAME"'


class Fixture(msgspec.Struct, forbid_unknown_fields=True):
    """Consecutive channels of a universe, by name."""

    universe: Annotated[int, Meta(ge=1, le=32768)]
    channel: Annotated[int, Meta(ge=1, le=SLOTS)]
    channels: Annotated[
        list[str], Meta(min_length=1, max_length=SLOTS, description="a list of 1 to 512 names of channels")
    ]


class Effect(msgspec.Struct, forbid_unknown_fields=True):
    """What modulates channels."""

    on: Annotated[str, Meta(max_length=140, description=_DRIVES)]
    of: Annotated[list[str], Meta(min_length=1, max_length=512, description="a list of fixtures or channels")]
    shape: Literal["fall", "rise", "sine", "strobe", "chase"] = "fall"
    every: Annotated[float, Meta(ge=1 / 64, le=256)] = 1.0
    depth: Annotated[float, Meta(ge=0, le=1)] = 1.0


class LightsTable(msgspec.Struct, forbid_unknown_fields=True):
    """The table as TOML has it."""

    fixtures: Annotated[dict[str, Any], Meta(description="a table of fixtures")]
    looks: Annotated[dict[str, Any], Meta(description="a table of looks")] = {}
    effects: Annotated[dict[str, Any], Meta(description="a table of effects")] = {}
    scenes: Annotated[dict[str, str], Meta(description="a look's name for each scene")] = {}
    fade: Annotated[float, Meta(ge=0, le=256)] = 0.0


Placed: TypeAlias = dict[str, tuple[int, Fixture]]
"""Fixtures by name, each with the place of its first channel in a frame."""


class WaveSource(NamedTuple):
    """Source of an effect's modulation. `kind`: beat, bar, section, note or value; without `param`, the value is the
    peak of the output. `node`: "" for every node."""

    kind: str
    note: int = -1
    node: str = ""
    param: str = ""


@dataclass(frozen=True, slots=True)
class Wave:
    """One effect. `slots`: places of its channels in a frame, in order."""

    name: str
    drive: WaveSource
    slots: NDArray[np.intp]
    shape: str
    every: float  # beats, bars of a drive by bars
    depth: float


@dataclass(frozen=True, slots=True)
class Rig:
    """A parsed table. A frame has 512 channels for each of `universes`, in that order.

    `looks`: frames of 0 to 1 by name; the first is shown when the patch is loaded.
    """

    universes: tuple[int, ...] = ()
    fixtures: Placed = field(default_factory=dict)
    looks: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    waves: tuple[Wave, ...] = ()
    scenes: Mapping[int, str] = field(default_factory=dict)
    fade: float = 0.0  # beats

    @property
    def slots(self) -> int:
        """Number of channels in a frame."""
        return SLOTS * len(self.universes)


def read(table: Mapping[str, Any]) -> Rig:
    """Parses the table; an empty one gives a rig without fixtures. Raises Misfit: it is invalid."""
    if not table:
        return Rig()
    data = convert_fields(table, LightsTable, "lights")
    for what, most in MOST.items():
        held = getattr(data, what)
        if len(held) > most:
            raise Misfit((what,), f"holds {len(held)}; at most {most} are allowed")
        for name in held:
            _check_name(name, (what, name))
    read_fixtures = {name: _part(body, Fixture, ("fixtures", name)) for name, body in data.fixtures.items()}
    universes = tuple(sorted({fixture.universe for fixture in read_fixtures.values()}))
    if len(universes) > MAX_UNIVERSES:
        raise Misfit(("fixtures",), f"use {len(universes)} universes; at most {MAX_UNIVERSES} are allowed")
    fixtures = _placed(read_fixtures, universes)
    looks = {name: _look(name, body, fixtures, SLOTS * len(universes)) for name, body in data.looks.items()}
    waves = tuple(_wave(name, body, fixtures) for name, body in data.effects.items())
    return Rig(universes, fixtures, looks, waves, _looks_by_scene(data.scenes, looks), data.fade)


def _part(body: Any, kind: type[T], path: tuple[str, ...]) -> T:
    try:
        return convert_fields(body, kind, path[0].removesuffix("s"))
    except Misfit as misfit:
        raise Misfit((*path, *misfit.path), misfit.what) from None


def _check_name(name: str, path: tuple[str, ...]) -> None:
    if not _NAME.fullmatch(name):
        raise Misfit(path, "is not a name; it takes small letters, digits, - and _, at most 32, a letter first")


def _placed(fixtures: Mapping[str, Fixture], universes: tuple[int, ...]) -> Placed:
    placed: Placed = {}
    taken: dict[int, str] = {}
    for name, fixture in fixtures.items():
        here = ("fixtures", name)
        for channel in fixture.channels:
            _check_name(channel, (*here, "channels"))
        if len(set(fixture.channels)) < len(fixture.channels):
            raise Misfit((*here, "channels"), "names a channel twice")
        last = SLOTS + 1 - len(fixture.channels)
        if fixture.channel > last:
            raise Misfit((*here, "channel"), f"takes 1 to {last}, not {fixture.channel}")
        first = SLOTS * universes.index(fixture.universe) + fixture.channel - 1
        for slot in range(first, first + len(fixture.channels)):
            if slot in taken:
                which = f"channel {slot % SLOTS + 1} of universe {fixture.universe}"
                raise Misfit((*here, "channel"), f"takes {which}, which {taken[slot]} has; choose another")
            taken[slot] = name
        placed[name] = first, fixture
    return placed


def _slots(target: str, fixtures: Placed, path: tuple[str, ...]) -> list[int]:
    """Places in a frame of "FIXTURE" or "FIXTURE.CHANNEL"."""
    name, dot, channel = target.partition(".")
    if name not in fixtures:
        raise Misfit(path, f"{name[:64]!r} is not a fixture{instead(name, fixtures)}")
    first, fixture = fixtures[name]
    if not dot:
        return list(range(first, first + len(fixture.channels)))
    if channel not in fixture.channels:
        raise Misfit(path, f"{channel[:64]!r} is not a channel of {name}{instead(channel, fixture.channels)}")
    return [first + fixture.channels.index(channel)]


def _look(name: str, body: Any, fixtures: Placed, slots: int) -> NDArray[np.float32]:
    frame = np.zeros(slots, np.float32)
    for of, value in _part(body, dict[str, Any], ("looks", name)).items():
        here = ("looks", name, of)
        parts = (
            {f"{of}.{channel}": one for channel, one in value.items()} if isinstance(value, Mapping) else {of: value}
        )
        for target, level in parts.items():
            places = _slots(target, fixtures, here)
            levels = level if isinstance(level, list) else [level] * len(places)
            if len(levels) != len(places):
                raise Misfit(here, f"takes {len(places)} numbers, one a channel, not {len(levels)}")
            try:
                frame[places] = convert_fields(levels, list[Level], "")
            except Misfit:
                raise Misfit(
                    here, "takes numbers 0 to 1: one, a list with one a channel, or a table by channel"
                ) from None
    return frame


def _wave(name: str, body: Any, fixtures: Placed) -> Wave:
    here = ("effects", name)
    effect = _part(body, Effect, here)
    slots = [slot for target in effect.of for slot in _slots(target, fixtures, (*here, "of"))]
    drive = _drive(effect.on, (*here, "on"))
    return Wave(name, drive, np.array(slots, np.intp), effect.shape, effect.every, effect.depth)


def _drive(text: str, path: tuple[str, ...]) -> WaveSource:
    found = _DRIVE.fullmatch(text)
    if found is None:
        raise Misfit(path, f"takes {_DRIVES}, not {text[:64]!r}")
    if found["note"]:
        try:
            return WaveSource("note", named_note(found["note"]), found["player"] or "")
        except UsageError as error:
            raise Misfit(path, str(error)) from None
    if found["clock"]:
        return WaveSource(text)
    return WaveSource("value", node=found["heard"] or found["node"], param=found["param"] or "")


def _looks_by_scene(table: Mapping[str, str], looks: Mapping[str, object]) -> dict[int, str]:
    for number, look in table.items():
        if not (number.isascii() and number.isdigit() and len(number) <= 3 and int(number) < MAX_SCENES):
            raise Misfit(("scenes", number), f"is not a scene; scenes are numbered 0 to {MAX_SCENES - 1}")
        if look not in looks:
            raise Misfit(("scenes", number), f"{look[:64]!r} is not a look{instead(look, looks)}")
    return {int(number): look for number, look in table.items()}
