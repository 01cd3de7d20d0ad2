"""`antiphon render`, `rehearse`, `replay` and `export`: patches, live scripts and recorded sets as files."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
from click.exceptions import Exit

from antiphon.cli.errors import complain, complain_of_script, termination_signals
from antiphon.cli.files.reports import TERMINAL, report
from antiphon.cli.progress import ProgressBar
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.arguments import argument, check
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.shortening import count_of, short_repr
from antiphon.offline.file_job import check_distinct, check_free
from antiphon.operations.requests import FinishRequest, RehearseRequest, RenderRequest, ReplayRequest, is_script

if TYPE_CHECKING:
    from antiphon.offline.rehearsing import Verdict


def render(asked: RenderRequest) -> None:
    """Play a patch or a live script into a file: at the rate of IN, with two channels, or IN's if more.

    Where a patch plays other pairs (out.3-4), OUT has as many channels.

    Latency is taken out. Without --seconds OUT is longer than IN by the echoes and notes that still sound at its end. A
    MIDI file is played at its tempo by every node that takes notes and that no wire plays; the clock takes the beats of
    its notes, which may differ from the file's beats. Where the notes keep no steady beat, `follow` treats them as a
    performance.
    """
    with termination_signals():
        from antiphon.kernel.plugins.loader import load
        from antiphon.live.records import ScriptError
        from antiphon.operations.render import render as operation

        try:
            failed = operation(asked, load(check=False), TERMINAL)
        except ScriptError as error:
            complain_of_script(str(error), error.picture)
            raise Exit(2) from None
    if failed:
        raise Exit(1)


# ---- `antiphon rehearse set.py`: the first bars of a live script, rendered and judged before they are played


def rehearse(asked: RehearseRequest) -> None:
    """Rehearse a live script: render its first bars, faster than time, and list the problems found.

    Exit code 1: it is silent for over two bars, clips, takes too much time, or a node fails. 2: it has an error.
    """
    from antiphon.files.temporary import temporary_folder
    from antiphon.live.records import ScriptError

    script, bars = asked.script, asked.bars
    if not is_script(script):
        raise UsageError(f"{script} is no live script; antiphon rehearse set.py takes a .py file")
    check(asked)
    with termination_signals(), temporary_folder() as folder:
        try:
            verdict = _judge_bars(script, bars, folder)
        except ScriptError as error:
            if asked.as_json:
                click.echo(json.dumps({"ok": False, "why": [str(error)], "remarks": []}))
            complain_of_script(str(error), error.picture)
            raise Exit(2) from None
    if asked.as_json:
        click.echo(json.dumps({"ok": verdict.ok, **asdict(verdict)}))
    else:
        click.echo(
            f"{Path(script).name}: {count_of(bars, 'bar')}, {verdict.loudness:.1f} LUFS, peak {verdict.peak:.1f} dBFS, "
            f"{verdict.notes} notes in the densest beat, {verdict.cost:.0%} of real time"
        )
        click.echo("bars: " + " ".join(f"{level:.0f}" for level in verdict.bars) + " LUFS")
        for sentence in (*verdict.why, *verdict.remarks):
            click.echo(sentence)
        click.echo("it can be played" if verdict.ok else "it is better not played as it is")
    if not verdict.ok:
        raise Exit(1)


def _judge_bars(path: str, bars: int, folder: Path) -> Verdict:
    """Renders the bars into a temporary file, and judges it. Raises `ScriptError` for a script with an error."""
    from antiphon.files.audiofile import read
    from antiphon.kernel.plugins.loader import load
    from antiphon.offline.hearing import tempo_map
    from antiphon.offline.rehearsing import judge
    from antiphon.offline.script_run import ScriptProcess
    from antiphon.operations.finishing import convert_finish_request
    from antiphon.operations.render import MAX_SENTENCES, convert_to_commands, find_unknown_notes, perform_script
    from antiphon.operations.render_plan import RenderPlan

    with ScriptProcess(path) as script:
        live = FinishRequest(limit=False)  # as loud as it is played
        asked = RenderRequest(path, bars=float(bars), tail=0.0, finish=live)
        whole = RenderPlan(asked, None, ((None, ""),), convert_finish_request(live))
        task, beats, events = perform_script(whole, script, load(check=False), TERMINAL)
    rate, name, out = task.spec.rate, Path(path).name, folder / "rehearsed.wav"
    planned = convert_to_commands(task, events, name)
    begun = time.process_time()
    done = replace(task, subtype="FLOAT").write(str(out), planned, name)
    spent = time.process_time() - begun
    sound = read(str(out)).samples
    tempo = tempo_map(events, rate, task.patch.tempo, beats)
    edges = [round(tempo.sample_at(float(beats * bar / bars))) for bar in range(bars + 1)]
    begins = Counter(
        int(event.beat) for event in events if event.address == "/note/on" or event.address[-5:] == "/play"
    )
    failed = [f"{node} fails: {reason}" for node, reason in done.failures]
    if done.dropped:
        failed.append(f"{done.dropped} events exceed the limit of one block")
    _, unknown, remarks = find_unknown_notes(name, events, done)
    failed += unknown[:MAX_SENTENCES]
    most, cost = max(begins.values(), default=0), spent / (edges[-1] / rate)
    return judge(sound, rate, edges, most, cost, failed, limited=done.limited, remarks=remarks[:MAX_SENTENCES])


# ---- `antiphon replay` and `antiphon export`

MOST_CUES, LONGEST_CUE = 200, 120
"""Number of the set's cues that are shown, and maximum characters of each part of a cue."""


def replay(asked: ReplayRequest) -> None:
    """Render a recorded set to a file, or to its tracks: with the same samples on the same machine. Lists its cues."""
    from antiphon.files.audiowrite import AudioWriter
    from antiphon.kernel.runtime.sound_formats import format_of
    from antiphon.kernel.runtime.terms import path_text
    from antiphon.offline.output_summary import Written
    from antiphon.offline.session_reader import SessionLog, session_folder
    from antiphon.operations import tracks
    from antiphon.operations.finishing import convert_finish_request
    from antiphon.recording.requests import SET

    finish, folder, out = convert_finish_request(asked.finish), session_folder(asked.session), asked.out
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
        check_free(written, force=asked.force)
        beside = tracks.claim(asked.stems, "--stems", folder, out=out, force=asked.force) if asked.stems else None
        with ExitStack() as stack:
            kept = stack.enter_context(tracks.replayed_tracks(log, folder, beside)) if beside is not None else None
            frames, blocks = stack.enter_context(tracks.replay_output(folder, log, complain, kept))
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
