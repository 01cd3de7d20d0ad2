"""The table `[lights]` of a patch: fixtures, looks, effects, and the scenes that carry looks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon.api.backends.files import Misfit, convert_fields
from antiphon.api.backends.runtime import instead
from antiphon.api.backends.signal import named_note
from antiphon_lights.packets import SLOTS

MAX_UNIVERSES, MAX_SCENES = 64, 128
MOST = {"fixtures": 512, "looks": 128, "effects": 64}
T = TypeVar("T")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_LEVEL = re.compile(r"level (\S{1,64})")
_NOTE = re.compile(r"note (\S{1,5})(?: (\S{1,64}))?")
_PARAM = re.compile(r"[^\s.]{1,64}\.[^\s.]{1,64}")
_DRIVES = 'beat, bar, section, "note c4", "note c4 NODE", "level NODE" or "NODE.PARAM", a macro as "macro.NAME"'


class Fixture(msgspec.Struct, forbid_unknown_fields=True):
    """Channels of a universe in a row, by name."""

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


class WaveSource(NamedTuple):
    """What drives an effect. `kind`: beat, bar, section, note, level or param; `node`: "" for every node."""

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
    """A table that was read. A frame has 512 places for each of `universes`, in that order.

    `looks`: frames of 0 to 1 by name; the first is shown when the patch is loaded.
    """

    universes: tuple[int, ...] = ()
    fixtures: Mapping[str, tuple[int, Fixture]] = field(default_factory=dict)  # with the place of the first channel
    looks: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    waves: tuple[Wave, ...] = ()
    scenes: Mapping[int, str] = field(default_factory=dict)
    fade: float = 0.0  # beats

    @property
    def slots(self) -> int:
        """Places of a frame."""
        return SLOTS * len(self.universes)


def read(table: Mapping[str, Any]) -> Rig:
    """Reads the table; an empty one gives a rig without fixtures. Raises Misfit: it is not valid."""
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
    slots = SLOTS * len(universes)
    looks = {name: _look(name, body, fixtures, slots) for name, body in data.looks.items()}
    waves = tuple(_wave(name, body, fixtures) for name, body in data.effects.items())
    return Rig(universes, fixtures, looks, waves, _scenes(data.scenes, looks), data.fade)


def _part(body: Any, kind: type[T], path: tuple[str, ...]) -> T:
    try:
        return convert_fields(body, kind, path[0].removesuffix("s"))
    except Misfit as misfit:
        raise Misfit((*path, *misfit.path), misfit.what) from None


def _check_name(name: str, path: tuple[str, ...]) -> None:
    if not _NAME.fullmatch(name):
        raise Misfit(path, "is not a name; it takes small letters, digits, - and _, at most 32, a letter first")


def _placed(fixtures: Mapping[str, Fixture], universes: tuple[int, ...]) -> dict[str, tuple[int, Fixture]]:
    placed: dict[str, tuple[int, Fixture]] = {}
    taken: dict[int, str] = {}
    for name, fixture in fixtures.items():
        here = ("fixtures", name)
        for channel in fixture.channels:
            _check_name(channel, (*here, "channels"))
        if len(set(fixture.channels)) < len(fixture.channels):
            raise Misfit((*here, "channels"), "names a channel twice")
        last = fixture.channel + len(fixture.channels) - 1
        if last > SLOTS:
            raise Misfit((*here, "channel"), f"takes 1 to {SLOTS + 1 - len(fixture.channels)}, not {fixture.channel}")
        first = SLOTS * universes.index(fixture.universe) + fixture.channel - 1
        for slot in range(first, first + len(fixture.channels)):
            if slot in taken:
                which = f"channel {slot % SLOTS + 1} of universe {fixture.universe}"
                raise Misfit((*here, "channel"), f"takes {which}, which {taken[slot]} has; choose another")
            taken[slot] = name
        placed[name] = first, fixture
    return placed


def _look(name: str, body: Any, fixtures: Mapping[str, tuple[int, Fixture]], slots: int) -> NDArray[np.float32]:
    frame = np.zeros(slots, np.float32)
    for of, value in _part(body, dict[str, Any], ("looks", name)).items():
        here = ("looks", name, of)
        first, fixture = _fixture(of, fixtures, here)
        names = fixture.channels
        if isinstance(value, Mapping):
            for channel, number in value.items():
                if channel not in names:
                    raise Misfit((*here, channel), f"is not a channel of {of}{instead(channel, names)}")
                frame[first + names.index(channel)] = _level(number, (*here, channel))
        elif isinstance(value, list):
            if len(value) != len(names):
                raise Misfit(here, f"takes {len(names)} numbers, one a channel, not {len(value)}")
            frame[first : first + len(names)] = [_level(number, here) for number in value]
        else:
            frame[first : first + len(names)] = _level(value, here)
    return frame


def _level(value: object, path: tuple[str, ...]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Misfit(path, "takes numbers 0 to 1: one, a list with one a channel, or a table by channel")
    return float(value)


def _fixture(name: str, fixtures: Mapping[str, tuple[int, Fixture]], path: tuple[str, ...]) -> tuple[int, Fixture]:
    if name not in fixtures:
        raise Misfit(path, f"{name[:64]!r} is not a fixture{instead(name, fixtures)}")
    return fixtures[name]


def _wave(name: str, body: Any, fixtures: Mapping[str, tuple[int, Fixture]]) -> Wave:
    here = ("effects", name)
    effect = _part(body, Effect, here)
    slots: list[int] = []
    for target in effect.of:
        of, dot, channel = target.partition(".")
        first, fixture = _fixture(of, fixtures, (*here, "of"))
        if not dot:
            slots += range(first, first + len(fixture.channels))
        elif channel in fixture.channels:
            slots.append(first + fixture.channels.index(channel))
        else:
            raise Misfit(
                (*here, "of"), f"{channel[:64]!r} is not a channel of {of}{instead(channel, fixture.channels)}"
            )
    drive = _drive(effect.on, (*here, "on"))
    return Wave(name, drive, np.array(slots, np.intp), effect.shape, effect.every, effect.depth)


def _drive(text: str, path: tuple[str, ...]) -> WaveSource:
    if text in ("beat", "bar", "section"):
        return WaveSource(text)
    if found := _LEVEL.fullmatch(text):
        return WaveSource("level", node=found[1])
    if found := _NOTE.fullmatch(text):
        try:
            return WaveSource("note", named_note(found[1]), found[2] or "")
        except UsageError as error:
            raise Misfit(path, str(error)) from None
    if _PARAM.fullmatch(text):
        node, _, param = text.partition(".")
        return WaveSource("param", node=node, param=param)
    raise Misfit(path, f"takes {_DRIVES}, not {text[:64]!r}")


def _scenes(table: Mapping[str, str], looks: Mapping[str, object]) -> dict[int, str]:
    scenes = {}
    for number, look in table.items():
        if not (number.isascii() and number.isdigit() and len(number) <= 3 and int(number) < MAX_SCENES):
            raise Misfit(("scenes", number), f"is not a scene; scenes are numbered 0 to {MAX_SCENES - 1}")
        if look not in looks:
            raise Misfit(("scenes", number), f"{look[:64]!r} is not a look{instead(look, looks)}")
        scenes[int(number)] = look
    return scenes
