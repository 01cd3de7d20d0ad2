"""The `antiphon` command: one typer application, its commands a module each, imported when used."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """The console script."""
    # before numpy: its threads would be forked half-dead, and for blocks as small as ours they cost more than they give
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from antiphon.stopping import watch

        watch()
        import typer

        from antiphon.cli.commands import register
        from antiphon.cli.errors import main as run

        app = typer.Typer(
            name="antiphon",
            help="A live audio server that listens and answers.",
            no_args_is_help=True,
            add_completion=False,
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
        )
        register(app)
    except KeyboardInterrupt:
        # nothing has begun yet
        sys.exit(130)
    run(app)
