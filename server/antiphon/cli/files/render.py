"""`antiphon render`: a patch over a sound file, with timed events, as the engine would play it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli import completion
from antiphon.cli.files.options import MOST_FADE, MOST_TAIL, within
from antiphon.cli.files.report import report
from antiphon.cli.synthhelp import NAMES
from antiphon.cli.terminal.errors import complain, endable
from antiphon.errors import FileError, UsageError
from antiphon.offline.file_job import FADE

if TYPE_CHECKING:
    from antiphon.contract.catalog import Catalog
    from antiphon.graph.graph import Graph
    from antiphon.offline.note_file import Score
    from antiphon.session.commands import Command

BLOCK = 256
LONG_BLOCK = 1024
"""Block in frames for patches whose samples do not depend on it (no cycle, no events): a third faster."""
RATE = 48000
MAX_EVENT_BYTES = 64 << 20
MAX_SECONDS = 6 * 3600.0


def render(
    patch: Annotated[
        str,
        typer.Argument(
            help="A patch: its name, or the path of a .toml file; or a live script, a .py file.",
            autocompletion=completion.patches,
        ),
    ],
    out: Annotated[str, typer.Option("--out", metavar="OUT.wav", help="The file to write.")],
    source: Annotated[str | None, typer.Option("--in", metavar="IN.wav", help="Silence when left out.")] = None,
    events: Annotated[
        str | None, typer.Option("--events", metavar="E", help="Timed commands (.jsonl), or notes (.mid).")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Length of OUT; else that of IN and a tail.")
    ] = None,
    block: Annotated[int, typer.Option("--block", help="Frames at a time, 32 to 2048; 0 chooses.")] = 0,
    device: Annotated[str, typer.Option("--device", help="What models run on: auto, cpu or cuda.")] = "auto",
    synth: Annotated[str, typer.Option("--synth", help=f"What plays notes: {NAMES}; null is silence.")] = "auto",
    tail: Annotated[
        float | None,
        typer.Option("--tail", metavar="SECONDS", help="Length after IN; default: until -60 dB, 10 s at most."),
    ] = None,
    fade: Annotated[float, typer.Option("--fade", metavar="SECONDS", help="At the end; 0 leaves it as it is.")] = FADE,
    bars: Annotated[float | None, typer.Option("--bars", help="Length of OUT in bars, of a live script.")] = None,
    stems: Annotated[
        str | None,
        typer.Option("--stems", metavar="FOLDER", help="A file for each track and loop of a live script."),
    ] = None,
    midi: Annotated[
        str | None, typer.Option("--midi", metavar="F.mid", help="The notes of a live script as a MIDI file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Render a patch or a live script to a file: the rate of IN, two channels or those of IN if it has more.

    Latency is taken out. Without --seconds OUT is longer than IN by the echoes and notes that sound at its end.
    """
    from antiphon.cli.files.options import play_with
    from antiphon.cli.files.rendering import PatchRender
    from antiphon.contract.block import StreamSpec
    from antiphon.graph.graph import order
    from antiphon.graph.patch import load as load_patch
    from antiphon.io.audiofile import stream
    from antiphon.io.audiowrite import format_of
    from antiphon.io.decode import shown
    from antiphon.offline import note_file
    from antiphon.offline.file_ends import NONE, tail_of
    from antiphon.offline.file_job import apart, free
    from antiphon.offline.output_summary import Written
    from antiphon.offline.script_run import is_script
    from antiphon.plugins.loader import load
    from antiphon.runtime.audio_limits import MAX_BLOCK, MIN_BLOCK

    if block and not MIN_BLOCK <= block <= MAX_BLOCK:
        raise UsageError(f"--block takes {MIN_BLOCK} to {MAX_BLOCK} frames, not {block}")
    if seconds is not None and not 0.0 <= seconds <= MAX_SECONDS:
        raise UsageError(f"--seconds takes 0 to {MAX_SECONDS:g}, not {seconds:g}")
    tail, fade = within("--tail", tail, MOST_TAIL), within("--fade", fade, MOST_FADE)
    if is_script(patch):
        from antiphon.cli.files.render_script import ScriptOptions, render_script

        if events is not None:
            raise UsageError("a script plays its own events; leave --events out")
        if seconds is not None or bars is None:
            raise UsageError("say how long in bars: antiphon render set.py --bars 32 --out set.wav")
        options = ScriptOptions(bars, stems, midi, source, block or BLOCK, tail, fade, force)
        render_script(patch, out, options, lambda loaded, graph: play_with(device, synth, loaded, graph))
        return
    for option, value in (("--bars", bars), ("--stems", stems), ("--midi", midi)):
        if value is not None:
            raise UsageError(f"{option} is for a live script: antiphon render set.py --bars 8 --out set.wav")
    notes = events is not None and note_file.is_midi(events)
    if source is None and seconds is None and not notes:
        raise UsageError("say --in IN.wav, or --seconds S to render without input")
    format_of(out)
    with endable(), ExitStack() as stack:
        loaded = load(check=False)
        loaded_patch = load_patch(patch, loaded.catalog, trusted=True)
        given = [(what, path) for what, path in (("--in", source), ("--events", events)) if path is not None]
        apart([*given, *_files(loaded_patch.graph, loaded.catalog)], [("--out", out)])
        free([("--out", out)], force=force)
        play_with(device, synth, loaded, loaded_patch.graph)
        rate, channels, subtype, frames = RATE, 2, "", None
        if source is not None:
            info, _ = stack.enter_context(stream(source))
            rate, channels, subtype, frames = info.rate, max(2, info.channels), info.subtype, info.frames
        if seconds is not None:
            frames = round(seconds * rate)
        commands: list[Command] = []
        if events is not None and notes:
            score = note_file.read(Path(events), rate)
            commands = _played(score, shown(events), loaded_patch.graph, loaded.catalog)
            frames = score.frames if frames is None and source is None else frames
        elif events is not None:
            commands = _events(events, rate, loaded_patch.graph, loaded.catalog)
        cyclic = order(loaded_patch.graph, loaded.catalog)[1]
        spec = StreamSpec(rate, block or (BLOCK if cyclic or events else LONG_BLOCK), channels)
        length = frames if seconds is not None or source is None else None
        sounds_on = any(loaded.catalog[node.type].tail for node in loaded_patch.graph.nodes)
        after = NONE if seconds is not None and tail is None else tail_of(tail, sounds_on)

        task = PatchRender(loaded, loaded_patch, spec, source, subtype, length, frames, after, fade)
        stack.close()
        done = task.write(out, commands, loaded_patch.name)
    if not done.frames:
        empty = f"{shown(source)} and " if source is not None and seconds is None else ""
        complain(f"{empty}{done.name} hold{'' if empty else 's'} no sound (0 frames)")
    report(Written(out, _sources(loaded_patch.name, source, events), done.frames / rate, rate, channels))
    if done.complaints():
        raise typer.Exit(1)


def _files(graph: Graph, catalog: Catalog) -> list[tuple[str, str]]:
    """(node.parameter, path) of each file and folder that the patch's nodes read."""
    from antiphon.graph.asset_names import located

    return [
        (f"{node.name}.{param.name}", located(str(node.values[param.name])))
        for node in graph.nodes
        for param in catalog[node.type].cells
        if param.kind == "file" and node.values.get(param.name)
    ]


def _sources(patch: str, *files: str | None) -> str:
    """The sources of OUT, as text."""
    from antiphon.io.decode import shown

    *most, last = (f"the patch {patch}", *(shown(path) for path in files if path is not None))
    return f"{', '.join(most)} and {last}" if most else last


def _played(score: Score, name: str, graph: Graph, catalog: Catalog) -> list[Command]:
    """Commands for the notes of a MIDI file, for every node with an event input that no wire leads to."""
    from antiphon.errors import WireError
    from antiphon.offline import note_file
    from antiphon.session.notes import Players

    try:
        Players(graph, catalog).of("")
    except WireError as error:
        raise UsageError(f"{name}: {error}") from None
    return note_file.commands(score)


def _events(path: str, rate: int, graph: Graph, catalog: Catalog) -> list[Command]:
    from antiphon.io.decode import shown
    from antiphon.offline.event_file import parse_events
    from antiphon.offline.rendering import param_finder
    from antiphon.session.notes import Players

    name = shown(path)
    try:
        if not Path(path).is_file():
            raise FileError(f"cannot read {name}: there is no such file, or it is not an ordinary one")
        if Path(path).stat().st_size > MAX_EVENT_BYTES:
            raise FileError(f"cannot read {name}: it is larger than {MAX_EVENT_BYTES >> 20} MiB; split it")
        text = Path(path).read_text("utf-8")
    except (OSError, ValueError) as error:
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "it is not UTF-8 text"
        raise FileError(f"cannot read {name}: {reason}") from None
    return parse_events(text.split("\n"), rate, param_finder(graph, catalog), name, Players(graph, catalog))
