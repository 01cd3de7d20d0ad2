"""Arrangement rules of loops, which a library's `rules.toml` may override."""

from pathlib import Path
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct, structs

from antiphon.api.backends.files import read_toml
from antiphon_loops.record import Loop

FILE = "rules.toml"


ENTERS = {"drums": 0.0, "bass": 0.12, "chords": 0.25, "melody": 0.45}
LOUDNESS = {"drums": -15.0, "bass": -16.0, "chords": -18.0, "melody": -17.5}
By: TypeAlias = Annotated[
    dict[Annotated[str, Meta(pattern=rf"^({'|'.join(ENTERS)})\Z")], float],
    Meta(description=f"a number for any of {', '.join(ENTERS)}"),
]
Few: TypeAlias = Annotated[int, Meta(ge=1, le=64, description="a whole number from 1 to 64")]
Weight: TypeAlias = Annotated[float, Meta(ge=0.0, le=100.0, description="a number from 0 to 100")]
Form: TypeAlias = Annotated[
    tuple[Annotated[float, Meta(ge=0.1, le=1.0)], ...],
    Meta(min_length=1, description="a list of numbers from 0.1 to 1"),
]


class Rules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rules by which loops are stacked: `rules.toml`.

    `enters`: the intensity from which a role plays. `loudness`: target loudness of its loops in LUFS.
    """

    enters: By = {}
    loudness: By = {}
    section: Few = 8
    form: Form = (0.6, 1.0, 1.0, 0.7, 1.0, 0.8)
    choices: Few = 3
    variety: Weight = 0.7
    fastest: Weight = 1.4
    slowest: Weight = 0.75
    stretching: Weight = 4.0
    shifting: Weight = 1.0
    mood: Weight = 3.0
    groove: Weight = 0.7
    clash: Weight = 20.0
    sureness: Weight = 3.0
    straight: Weight = 2.0
    beat: Weight = 4.0
    fit: Weight = 3.0
    style: Weight = 5.0
    takes: Few = 16
    chance: Weight = 1.0
    rests: Weight = 0.15
    breaks: Weight = 0.5
    tempo_sure: Weight = 0.15
    """Threshold that rejects half of 48 excerpts cut anywhere from recordings, and up to 10 % of rendered loops."""

    def __post_init__(self) -> None:
        structs.force_setattr(self, "enters", {**ENTERS, **self.enters})
        structs.force_setattr(self, "loudness", {**LOUDNESS, **self.loudness})

    def leaves_out(self, loop: Loop) -> bool:
        """Whether a loop's tempo is too uncertain for its use."""
        return 0.0 < loop.tempo_sure < self.tempo_sure


def load(folder: Path) -> Rules:
    """Rules of a library, or the defaults; `FileError` names an invalid key."""
    path = folder / FILE
    if not path.is_file():
        return Rules()
    return read_toml(path, Rules, "the rules")
