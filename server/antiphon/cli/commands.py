"""Which commands there are. Their modules keep heavy imports inside the functions."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Adds every command."""
    from antiphon.cli import (
        approve,
        bench,
        devices,
        doctor,
        evaluate,
        models,
        monitor,
        newplugin,
        osc,
        play,
        plugins,
        render,
        replay,
        run,
        serve,
        train,
    )

    app.command()(serve.serve)
    app.command()(play.play)
    app.command()(run.run)
    app.command()(render.render)
    app.command()(replay.replay)
    app.command(context_settings=osc.CONTEXT)(osc.osc)
    app.command()(monitor.monitor)
    plugins.register(app)
    app.command("new-plugin")(newplugin.new_plugin)
    models.register(app)
    app.command()(devices.devices)
    app.command()(doctor.doctor)
    app.command()(bench.bench)
    app.command()(train.train)
    app.command()(evaluate.evaluate)
    approve.register(app)
