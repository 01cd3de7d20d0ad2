"""Drum kit: SynthDef and controls of each key."""

import tomllib
from dataclasses import dataclass
from functools import cache

from antiphon.api import EngineError
from antiphon.api.backends.files import built_in_folder


@dataclass(frozen=True, slots=True)
class Drum:
    """Definition of a key of the kit. `controls`: besides the voice's own."""

    definition: str
    controls: tuple[tuple[str, float], ...]
    choke: int


@cache
def kit() -> dict[int, Drum]:
    """Drums by key, from `synthdefs.toml`. Raises EngineError: it cannot be read."""
    path = built_in_folder("supercollider") / "synthdefs.toml"
    try:
        read = tomllib.loads(path.read_text("utf-8"))["kit"]
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(f"the drum map of the SynthDefs cannot be read: {error}") from error
    result = {}
    for key, row in read.items():
        controls = tuple((k, float(v)) for k, v in row.items() if k not in ("def", "name", "choke"))
        result[int(key)] = Drum(str(row["def"]), controls, int(row.get("choke", 0)))
    return result
