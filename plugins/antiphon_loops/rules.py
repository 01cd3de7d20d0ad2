"""Arrangement rules of loops, which a library's `rules.toml` may override."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from antiphon.api import FileError
from antiphon_loops.record import ROLES, Loop

FILE = "rules.toml"


def _enters() -> dict[str, float]:
    return {"drums": 0.0, "bass": 0.12, "chords": 0.25, "melody": 0.45}


def _loudness() -> dict[str, float]:
    return {"drums": -15.0, "bass": -16.0, "chords": -18.0, "melody": -17.5}


@dataclass(frozen=True, slots=True)
class Rules:
    """enters: the intensity from which a role plays.  loudness: target LUFS of a role's loops.

    section: bars between changes of loops.  form: how much of the intensity each part of a round has, spread over
    its sections.  choices: loops a role has in a round.  fastest, slowest: how many times its own tempo a loop may
    be played at before it is chosen only for want of others.  stretching, shifting, mood, groove, sureness,
    straight: how much each counts against a loop (an octave of tempo; a tritone; the opposite mood), or for it (its
    onsets fall where the drums' do; its tempo and key are certain; its onsets lie on 16ths).  clash: how much it
    counts that all of a loop's sound lies on notes outside the key.  fit: how much for it that it goes with those
    chosen before it (the analysis `fit`).  beat: how much against it that it is one stroke, or has no beat
    (`loop_confidence`).  style: how much against it that it is not of the style asked for.  takes:
    pieces of which the one whose loops go together best is played.  chance: how much is left to the seed.
    rests: how likely a role is to rest in a section.  breaks: how likely one is to rest in its last bar.
    tempo_sure: a loop whose tempo is less certain is left out, one without a beat is not.
    """

    enters: Mapping[str, float] = field(default_factory=_enters)
    loudness: Mapping[str, float] = field(default_factory=_loudness)
    section: int = 8
    form: tuple[float, ...] = (0.6, 1.0, 1.0, 0.7, 1.0, 0.8)
    choices: int = 2
    fastest: float = 1.4
    slowest: float = 0.75
    stretching: float = 4.0
    shifting: float = 1.0
    mood: float = 3.0
    groove: float = 0.7
    clash: float = 20.0
    sureness: float = 3.0
    straight: float = 2.0
    beat: float = 4.0
    fit: float = 3.0
    style: float = 5.0
    takes: int = 16
    chance: float = 1.0
    rests: float = 0.15
    breaks: float = 0.5
    tempo_sure: float = 0.15
    """It excludes about half of 48 excerpts of recordings cut anywhere, and up to 10 % of rendered loops."""

    def leaves_out(self, loop: Loop) -> bool:
        """True if a loop's tempo is too uncertain to use it."""
        return 0.0 < loop.tempo_sure < self.tempo_sure


def load(folder: Path) -> Rules:
    """Rules of a library, or the defaults; `FileError` names an invalid key."""
    path = folder / FILE
    if not path.is_file():
        return Rules()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(f"cannot read {path}: {error}") from None
    return change_rules(Rules(), data, str(path))


def change_rules(rules: Rules, data: Mapping[str, Any], where: str) -> Rules:
    known = {f.name: getattr(rules, f.name) for f in fields(Rules)}
    new: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known:
            raise FileError(f"{where}: there is no rule {key!r}; there are: {', '.join(known)}")
        new[key] = _value(key, value, known[key], where)
    return replace(rules, **new)


def _value(key: str, value: object, known: object, where: str) -> object:
    if isinstance(known, Mapping):
        if isinstance(value, Mapping) and all(k in ROLES and _number(v) for k, v in value.items()):
            return {**known, **{k: float(v) for k, v in value.items()}}
        raise FileError(f"{where}: {key} takes a number for any of {', '.join(ROLES)}")
    if isinstance(known, tuple):
        if isinstance(value, list) and value and all(_number(v) and 0.1 <= v <= 1.0 for v in value):
            return tuple(float(v) for v in value)
        raise FileError(f"{where}: {key} takes a list of numbers from 0.1 to 1")
    if isinstance(known, int):
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 64:
            return value
        raise FileError(f"{where}: {key} takes a whole number from 1 to 64")
    if isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 100.0:
        return float(value)
    raise FileError(f"{where}: {key} takes a number from 0 to 100")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
