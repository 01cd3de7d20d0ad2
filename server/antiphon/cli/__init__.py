"""The `antiphon` command: one typer application with a lazily imported module per command.

`files/` has the commands that read and write sound files, `terminal/` errors, colour and progress.
"""

import os
import sys


def main() -> None:
    """The console script."""
    # before numpy: a fork does not copy its threads, and for small blocks they cost more time than they save
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from antiphon.kernel.runtime.processes.child_process import watch

        watch()
        from antiphon.cli.commands import application, yield_to_sound
        from antiphon.cli.terminal.errors import main as run

        yield_to_sound(sys.argv[1:])
        app = application(sys.argv[1:])
    except KeyboardInterrupt:
        # no command has started yet
        sys.exit(130)
    run(app)
