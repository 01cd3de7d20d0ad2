"""`antiphon replay` and `antiphon export`."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from antiphon.cli.files.reports import TERMINAL, report
from antiphon.cli.option_records import by_records
from antiphon.cli.terminal.errors import complain, termination_signals
from antiphon.cli.terminal.progress import ProgressBar
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.offline.file_job import check_distinct, free
from antiphon.operations.requests import FinishRequest, ReplayRequest

MOST_CUES, LONGEST_CUE = 200, 120
"""Cues of the set that are shown, and characters of each part of one."""


@by_records
def replay(asked: ReplayRequest) -> None:
    """Render a recorded set to a file, or to its tracks: the same samples on the same machine. Its cues are listed."""
    from antiphon.files.audiowrite import AudioWriter, format_of
    from antiphon.files.decode import path_text
    from antiphon.kernel.supervisor.recordings import SET
    from antiphon.offline.output_summary import Written
    from antiphon.offline.session_reader import SessionLog, session_folder
    from antiphon.operations import tracks
    from antiphon.operations.finishing import finish_of

    finish, folder, out = finish_of(asked.finish), session_folder(asked.session), asked.out
    if out:
        format_of(out)
    elif not asked.stems:
        raise UsageError("name the file to write, OUT.wav, or a folder for the tracks, --stems DIR")
    elif asked.finish != FinishRequest():
        raise UsageError("--limit, --normalise and --tag are for OUT; name it: antiphon replay SET OUT.wav --stems DIR")
    with termination_signals():
        log = SessionLog(folder)
        written = [("OUT", out)] if out else []
        check_distinct([(f"{name} of the set", folder / name) for name in SET], written)
        free(written, force=asked.force)
        beside = tracks.claim(asked.stems, "--stems", folder, out=out, force=asked.force) if asked.stems else None
        with ExitStack() as stack:
            kept = stack.enter_context(tracks.replayed_tracks(log, folder, beside)) if beside is not None else None
            frames, blocks = stack.enter_context(tracks.replayed(folder, log, complain, kept))
            form = log.spec.rate, log.spec.channels, "FLOAT", finish
            writer = stack.enter_context(AudioWriter(out, *form)) if out else None
            progress = stack.enter_context(ProgressBar("replay", frames, log.spec.rate))
            for n, y in enumerate(blocks, 1):
                if writer is not None:
                    writer.write(y)
                progress.update(n * log.spec.block)
        if writer is not None:
            report(Written.sound(writer, f"the set {path_text(folder)}"))
        if beside is not None:
            tracks.complete(beside, TERMINAL)
    for cue in log.cues[:MOST_CUES]:
        seconds, told = (cue["sample"] - log.first) / log.spec.rate, [cue["cue"], *cue["values"]]
        say(f"cue at {seconds:.1f} s: {' '.join(short_repr(one, LONGEST_CUE) for one in told)}")
    if (left := len(log.cues) - MOST_CUES) > 0:
        say(f"{left:,} more cues are in {log.name}")


def export(
    session: Annotated[str, argument("A folder that `serve --session` or `--record-tracks` wrote, or a set's name.")],
    folder: Annotated[Path, argument("The folder to write; SESSION itself where it has tracks.", "DIR")],
    force: Annotated[bool, argument("Replace tracks in DIR; end all with the shortest.")] = False,
) -> None:
    """Write a recorded set as tracks, MIDI files and projects for studios: set.dawproject, and set.rpp for Reaper."""
    from antiphon.offline.session_reader import session_folder
    from antiphon.operations import tracks

    with termination_signals():
        tracks.export(session_folder(session), str(folder), TERMINAL, force=force)
