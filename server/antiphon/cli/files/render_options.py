"""Options of `antiphon render`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from antiphon.cli import completion
from antiphon.cli.synthhelp import NAMES
from antiphon.offline.file_job import FADE


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """The options of `antiphon render`."""

    patch: Annotated[
        str,
        typer.Argument(
            help="A patch: its name, or the path of a .toml file; or a live script, a .py file.",
            autocompletion=completion.patches,
        ),
    ]
    out: Annotated[str, typer.Option("--out", metavar="OUT.wav", help="The file to write.")] = ""
    source: Annotated[
        list[str] | None,
        typer.Option("--in", metavar="IN", help="Sound, or notes (.mid); - is standard input. More with --out-dir."),
    ] = None
    events: Annotated[
        str | None, typer.Option("--events", metavar="E", help="Timed commands (.jsonl), or notes (.mid).")
    ] = None
    seconds: Annotated[float | None, typer.Option("--seconds", help="Length of OUT; else that of IN and a tail.")] = (
        None
    )
    block: Annotated[int, typer.Option("--block", help="Frames at a time, 32 to 2048; 0 chooses.")] = 0
    device: Annotated[str, typer.Option("--device", help="What models run on: auto, cpu or cuda.")] = "auto"
    synth: Annotated[str, typer.Option("--synth", help=f"What plays notes: {NAMES}; null is silence.")] = "auto"
    tail: Annotated[
        float | None,
        typer.Option("--tail", metavar="SECONDS", help="Length after IN; default: until -60 dB, 10 s at most."),
    ] = None
    fade: Annotated[float, typer.Option("--fade", metavar="SECONDS", help="At the end; 0 leaves it as it is.")] = FADE
    bars: Annotated[float | None, typer.Option("--bars", help="Length of OUT in bars, of a live script.")] = None
    stems: Annotated[
        str | None, typer.Option("--stems", metavar="FOLDER", help="A file for each track and loop of a live script.")
    ] = None
    midi: Annotated[
        str | None, typer.Option("--midi", metavar="F.mid", help="The notes of a live script as a MIDI file.")
    ] = None
    rate: Annotated[int, typer.Option("--rate", metavar="HZ", help="Resample OUT; default: the rate of IN.")] = 0
    cue: Annotated[
        str, typer.Option(metavar="PAIR", help="Channels of OUT for the cue, such as 3-4; else it is left out.")
    ] = ""
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False
    recursive: Annotated[bool, typer.Option("--recursive", help="Go into folders in a folder.")] = False
    out_dir: Annotated[
        str | None, typer.Option("--out-dir", help="A folder for the results, under the names of IN.")
    ] = None
