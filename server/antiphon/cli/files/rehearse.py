"""`antiphon rehearse set.py`: the first bars of a live script, rendered and judged before they are played."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from antiphon.cli.option_records import by_records
from antiphon.cli.terminal.errors import termination_signals
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.arguments import check
from antiphon.kernel.runtime.shortening import counted
from antiphon.operations.requests import RehearseRequest, RenderRequest

if TYPE_CHECKING:
    from antiphon.offline.rehearsing import Verdict


@by_records
def rehearse(asked: RehearseRequest) -> None:
    """Rehearse a live script: render its first bars, faster than time, and say what speaks against playing it.

    Exit code 1: it is silent for over two bars, clips, takes too much time, or a node fails. 2: it has an error.
    """
    from antiphon.cli.files.render import show
    from antiphon.live.records import ScriptError
    from antiphon.offline.script_run import is_script

    script, bars = asked.script, asked.bars
    if not is_script(script):
        raise UsageError(f"{script} is no live script; antiphon rehearse set.py takes a .py file")
    check(asked)
    with termination_signals(), tempfile.TemporaryDirectory(prefix="antiphon-") as folder:
        try:
            verdict = _judged(script, bars, Path(folder))
        except ScriptError as error:
            if asked.as_json:
                typer.echo(json.dumps({"ok": False, "why": [str(error)], "remarks": []}))
            show(error)
            raise typer.Exit(2) from None
    if asked.as_json:
        typer.echo(json.dumps({"ok": verdict.ok, **asdict(verdict)}))
    else:
        typer.echo(
            f"{Path(script).name}: {counted(bars, 'bar')}, {verdict.loudness:.1f} LUFS, peak {verdict.peak:.1f} dBFS, "
            f"{verdict.notes} notes in the densest beat, {verdict.cost:.0%} of real time"
        )
        typer.echo("bars: " + " ".join(f"{level:.0f}" for level in verdict.bars) + " LUFS")
        for sentence in (*verdict.why, *verdict.remarks):
            typer.echo(sentence)
        typer.echo("it can be played" if verdict.ok else "it is better not played as it is")
    if not verdict.ok:
        raise typer.Exit(1)


def _judged(path: str, bars: int, folder: Path) -> Verdict:
    """Renders the bars into a temporary file, and judges it. Raises `ScriptError` for a script with an error."""
    from antiphon.cli.files.reports import TERMINAL
    from antiphon.files.audiofile import read
    from antiphon.offline.hearing import tempo_map
    from antiphon.offline.rehearsing import judge
    from antiphon.offline.script_run import ScriptProcess
    from antiphon.operations.render_script import MAX_SENTENCES, performed, played, unknown_in

    with ScriptProcess(path) as script:
        asked = RenderRequest(path, bars=float(bars), tail=0.0, reporting=TERMINAL)
        task, beats, events = performed(asked, float(bars), script)
    rate, name, out = task.spec.rate, Path(path).name, folder / "rehearsed.wav"
    planned = played(task, events, name)
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
    _, unknown, remarks = unknown_in(name, events, done)
    failed += unknown[:MAX_SENTENCES]
    most, cost = max(begins.values(), default=0), spent / (edges[-1] / rate)
    return judge(sound, rate, edges, most, cost, failed, limited=done.limited, remarks=remarks[:MAX_SENTENCES])
