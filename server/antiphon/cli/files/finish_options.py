"""Options of every command that writes sound: its loudness, a limit, tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from antiphon.files.sound_finish import SoundFinish


@dataclass(frozen=True, slots=True)
class FinishOptions:
    """Options of the finishing of written sound."""

    limit: Annotated[
        bool | None,
        typer.Option(
            "--limit/--no-limit",
            help="Keep the true peak below -1 dBFS; what is made of notes alone by default, at -16 LUFS at most.",
        ),
    ] = None
    normalise: Annotated[
        float | None, typer.Option("--normalise", metavar="LUFS", help="Bring the loudness to this, such as -14.")
    ] = None
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="NAME=TEXT", help="Set a tag, as title=…; bpm and key alone are found in OUT."),
    ] = None


def finish_of(asked: FinishOptions, rate: int = 0) -> SoundFinish:
    """The requested finish; `rate`: Hz of `--rate`, 0 for none. Raises UsageError: a value is not allowed."""
    from antiphon.operations.finishing import finish_of as finish

    return finish(rate, asked.normalise, asked.tag or (), limit=asked.limit)
