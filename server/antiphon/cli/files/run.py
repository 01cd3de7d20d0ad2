"""`antiphon run`: one plugin over files of sound or notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from antiphon.cli import completion
from antiphon.cli.files.finish_options import FinishOptions, finish_of
from antiphon.cli.option_records import by_records
from antiphon.cli.terminal.errors import endable
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.settings import RUN_BLOCK


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of `antiphon run`."""

    plugin: Annotated[
        str, typer.Argument(help="The processor, as `antiphon plugins` lists it.", autocompletion=completion.plugins)
    ]
    paths: Annotated[
        list[str], typer.Argument(metavar="IN OUT", help="IN OUT, or files and folders with --out-dir; - for a pipe.")
    ]
    param: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            "--param",
            metavar="NAME=VALUE",
            help="One of its parameters, which antiphon run PLUGIN --help lists; may be given again.",
            autocompletion=completion.params,
        ),
    ] = None
    out_dir: Annotated[
        str | None, typer.Option("--out-dir", help="A folder for the results, under the names of IN.")
    ] = None
    recursive: Annotated[bool, typer.Option("--recursive", help="Go into folders in a folder.")] = False
    block: Annotated[int, typer.Option("--block", help="Frames at a time, 32 to 2048.")] = RUN_BLOCK
    device: Annotated[str, typer.Option("--device", help="What models run on: auto, cpu or cuda.")] = "auto"
    midi_out: Annotated[str, typer.Option("--midi-out", metavar="F.mid", help="A file for the notes it detects.")] = ""
    analysis: Annotated[str, typer.Option("--analysis", metavar="F.json", help="A file for its analysis.")] = ""
    report_to: Annotated[str, typer.Option("--report", metavar="F.json", help="A file for what it chose.")] = ""
    picture: Annotated[str, typer.Option("--picture", metavar="F.png", help="A file for a picture of it.")] = ""
    chords: Annotated[
        str, typer.Option("--chords", metavar="CHORDS", help="Chords to play: | C Am | F G7 |, or a file of them.")
    ] = ""
    roll: Annotated[str, typer.Option("--roll", metavar="F.svg", help="A file for a piano roll of it.")] = ""
    click: Annotated[str, typer.Option("--click", metavar="F.wav", help="A file: IN and a click on its beats.")] = ""
    chords_out: Annotated[str, typer.Option("--chords-out", metavar="F", help="A file for the chords played.")] = ""
    stems: Annotated[bool, typer.Option("--stems", help="Also a file for each part, OUT-PART; OUT is their sum.")] = (
        False
    )
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PART", help="OUT is this part of IN, as voice; may be given again."),
    ] = None
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="PART", help="OUT is IN without this part; may be given again."),
    ] = None
    tail: Annotated[
        float | None,
        typer.Option("--tail", metavar="SECONDS", help="Length after IN; default: until -60 dB, 10 s at most."),
    ] = None
    fade: Annotated[
        float | None,
        typer.Option("--fade", metavar="SECONDS", help="At the end; default: none where OUT ends with IN, else 0.02."),
    ] = None
    rate: Annotated[int, typer.Option("--rate", metavar="HZ", help="Resample OUT; default: the rate of IN.")] = 0
    causal: Annotated[bool, typer.Option("--causal", help="Work as live, without a look at what comes.")] = False
    raw: Annotated[
        str,
        typer.Option(
            "--raw", metavar="TYPE:HZ:CHANNELS", help="Bare samples in pipes, as s16le:48000:2; default: wav."
        ),
    ] = ""
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False


@by_records
def run(asked: RunOptions, finishing: FinishOptions) -> None:
    """Run a plugin over files: same rate, channels and length unless it says otherwise, its latency taken out.

    -p learn=0.5 on a trigger fires it at 0.5 s. A parameter of kind file takes any path. What takes notes reads a MIDI
    file, what gives notes writes one. Echoes go on after the end of IN, until they are over. - is standard input or
    output: a wav, or --raw; what a plugin need not know in advance is worked on as it comes. A video keeps its picture.
    """
    finish = finish_of(finishing, asked.rate)
    with endable():
        from antiphon.cli.files.reports import PIPED, TERMINAL
        from antiphon.kernel.plugins.loader import load
        from antiphon.operations import run as operation

        beside = {
            "midi-out": asked.midi_out,
            "analysis": asked.analysis,
            "report": asked.report_to,
            "picture": asked.picture,
            "roll": asked.roll,
            "chords-out": asked.chords_out,
            "click": asked.click,
        }
        request = operation.RunRequest(
            asked.plugin,
            tuple(asked.paths),
            tuple(pair_of(text) for text in asked.param or ()),
            asked.out_dir,
            asked.recursive,
            asked.block,
            asked.device,
            {what: path for what, path in beside.items() if path},
            asked.chords,
            asked.stems,
            tuple(asked.only or ()),
            tuple(asked.without or ()),
            asked.tail,
            asked.fade,
            asked.causal,
            asked.force,
            finish,
            asked.raw,
        )
        if operation.run(request, load(check=False), PIPED if asked.paths[-1] == "-" else TERMINAL):
            raise typer.Exit(1)


def pair_of(text: str) -> tuple[str, str]:
    """Name and value of NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"-p takes NAME=VALUE, not {text!r}")
    return name, value
