"""`antiphon replay`."""

from contextlib import ExitStack

from antiphon.cli.files.reports import report
from antiphon.cli.option_records import by_records
from antiphon.cli.terminal.errors import complain, endable
from antiphon.cli.terminal.progress import ProgressBar
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.offline.file_job import check_distinct, free
from antiphon.operations.requests import ReplayRequest

MOST_CUES, LONGEST_CUE = 200, 120
"""Cues of the set that are shown, and characters of each part of one."""


@by_records
def replay(asked: ReplayRequest) -> None:
    """Render a recorded set to a file: the same samples on the same machine. What was cued in it is listed."""
    from antiphon.files.audiofile import stream
    from antiphon.files.audiowrite import AudioWriter, format_of
    from antiphon.files.decode import path_text
    from antiphon.kernel.plugins.loader import load
    from antiphon.kernel.supervisor.recordings import SET
    from antiphon.kernel.synth.backends import chosen
    from antiphon.offline.output_summary import Written
    from antiphon.offline.replay import replay as play
    from antiphon.offline.session_reader import INPUT, SessionLog, session_folder
    from antiphon.operations.file_tasks import play_with
    from antiphon.operations.finishing import finish_of

    finish, folder, out = finish_of(asked.finish), session_folder(asked.session), asked.out
    format_of(out)
    with endable(), ExitStack() as stack:
        log = SessionLog(folder)
        if not (folder / INPUT).is_file():
            raise FileError(f"{folder} has no {INPUT}; a set cannot be replayed without its input")
        check_distinct([(f"{name} of the set", folder / name) for name in SET], [("OUT", out)])
        free([("OUT", out)], force=asked.force)
        loaded = load(check=False)
        with log.line(1):
            play_with(log.header.get("device", "cpu"), log.header.get("synth", "auto"), loaded, None, complain)
        offline = chosen().info.make_support().passes(live=log.spec.block)
        if offline is not None:
            passes = stack.enter_context(offline)
            while True:
                passes.begin()
                with stream(folder / INPUT) as (_, blocks):
                    frames = sum(y.shape[1] for y in play(folder, blocks, loaded.catalog, loaded.make))
                if passes.done(frames, log.spec.rate):
                    break
        with stream(folder / INPUT) as (info, blocks):
            log.check_input(info.rate, info.channels)
            writer = AudioWriter(out, log.spec.rate, log.spec.channels, "FLOAT", finish)
            with writer, ProgressBar("replay", info.frames, log.spec.rate) as progress:
                for y in play(folder, blocks, loaded.catalog, loaded.make):
                    writer.write(y)
                    progress.update(writer.frames)
    report(Written.sound(writer, f"the set {path_text(folder)}"))
    for cue in log.cues[:MOST_CUES]:
        seconds, told = (cue["sample"] - log.first) / log.spec.rate, [cue["cue"], *cue["values"]]
        say(f"cue at {seconds:.1f} s: {' '.join(short_repr(one, LONGEST_CUE) for one in told)}")
    if (left := len(log.cues) - MOST_CUES) > 0:
        say(f"{left:,} more cues are in {log.name}")
