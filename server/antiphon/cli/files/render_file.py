"""One file of `antiphon render`: a patch over a sound or a MIDI file, with timed events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from antiphon.cli.files.rendering import PatchRender
from antiphon.cli.files.report import report
from antiphon.cli.terminal.errors import complain
from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.errors import FileError, RequestError, UsageError
from antiphon.kernel.graph.asset_names import locate_asset
from antiphon.kernel.graph.graph import Graph, order
from antiphon.kernel.graph.patch import Patch
from antiphon.kernel.io.audiofile import stream
from antiphon.kernel.io.decode import path_text
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.session.commands import Command
from antiphon.kernel.session.notes import Players
from antiphon.offline import note_file
from antiphon.offline.event_file import parse_events
from antiphon.offline.file_ends import NONE, tail_of
from antiphon.offline.file_job import FADE
from antiphon.offline.note_file import Score, is_midi
from antiphon.offline.rendering import param_finder

BLOCK = 256
LONG_BLOCK = 1024
"""Block in frames for patches whose samples do not depend on it (no cycle, no events): a third faster."""
RATE = 48000
"""Hz of OUT where IN is no sound."""
MAX_EVENT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class RenderJob:
    """One file to render: IN (sound or MIDI, or none), the file of events or none, and OUT."""

    source: str | None
    events: str | None
    out: str


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """The options of `antiphon render`.

    Attributes:
        seconds: Length of OUT; None for that of IN and a tail.
        block: Frames; 0 chooses.
        tail: Seconds after IN; None for the default.
        fade: Seconds at the end of OUT.
        rate: Hz of OUT; 0 for IN's, or the nearest that OUT's format holds.
        cue: The pair of OUT's channels that holds the cue, or "".
    """

    seconds: float | None = None
    block: int = 0
    tail: float | None = None
    fade: float = FADE
    rate: int = 0
    cue: str = ""


def one(job: RenderJob, settings: RenderSettings, loaded: Loaded, patch: Patch) -> bool:
    """Writes OUT, complete or not at all, and reports it; False where a node failed or events were left out.

    Raises:
        AntiphonError: It cannot be rendered.
    """
    graph, catalog, seconds = patch.graph, loaded.catalog, settings.seconds
    sound = None if job.source is None or is_midi(job.source) else job.source
    notes = [path for path in (job.source, job.events) if path is not None and is_midi(path)]
    rate, channels, subtype, frames = RATE, 2, "", None
    if sound is not None:
        with stream(sound) as (info, _):
            rate, channels, subtype, frames = info.rate, max(2, info.channels), info.subtype, info.frames
    commands: list[Command] = []
    scores = [note_file.read(Path(path), rate) for path in notes]
    for path, score in zip(notes, scores, strict=True):
        commands += _played(score, path_text(path), graph, catalog)
    if sound is None and scores:
        frames = max(score.frames for score in scores)
    if job.events is not None and not is_midi(job.events):
        commands += _events(job.events, rate, graph, catalog)
    if seconds is not None:
        frames = round(seconds * rate)
    cyclic = order(graph, catalog)[1]
    spec = StreamSpec(rate, settings.block or (BLOCK if cyclic or commands or job.events else LONG_BLOCK), channels)
    length = frames if seconds is not None or sound is None else None
    sounds_on = any(catalog[node.type].on_files.tail for node in graph.nodes)
    after = NONE if seconds is not None and settings.tail is None else tail_of(settings.tail, sounds_on)
    made = settings.fade, settings.rate, settings.cue
    task = PatchRender(loaded, patch, spec, sound, subtype, length, frames, after, *made)
    done = task.write(job.out, commands, patch.name)
    if not done.frames:
        complain(f"{done.name} holds no sound (0 frames)")
    report(replace(done.written, source=_sources(patch.name, job.source, job.events)))
    return not done.complaints()


def files_of(graph: Graph, catalog: Catalog) -> list[tuple[str, str]]:
    """(node.parameter, path) of each file and folder that the patch's nodes read."""
    return [
        (f"{node.name}.{param.name}", locate_asset(str(node.values[param.name])))
        for node in graph.nodes
        for param in catalog[node.type].cells
        if param.kind == "file" and node.values.get(param.name)
    ]


def _sources(patch: str, *files: str | None) -> str:
    *most, last = (f"the patch {patch}", *(path_text(path) for path in files if path is not None))
    return f"{', '.join(most)} and {last}" if most else last


def _played(score: Score, name: str, graph: Graph, catalog: Catalog) -> list[Command]:
    """Commands for the notes of a MIDI file, for every node with an event input that no wire leads to."""
    try:
        Players(graph, catalog).of("")
    except RequestError as error:
        raise UsageError(f"{name}: {error}") from None
    return note_file.commands(score)


def _events(path: str, rate: int, graph: Graph, catalog: Catalog) -> list[Command]:
    name = path_text(path)
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
