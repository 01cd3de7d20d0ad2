"""Which commands there are. Their modules keep heavy imports inside the functions."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Adds every command."""
    from antiphon.cli import approve, bench, devices, doctor, play, plugins, render, replay, run, serve

    app.command()(serve.serve)
    app.command()(play.play)
    app.command()(run.run)
    app.command()(render.render)
    app.command()(replay.replay)
    plugins.register(app)
    app.command()(devices.devices)
    app.command()(doctor.doctor)
    app.command()(bench.bench)
    approve.register(app)
