"""The `antiphon` command: one application with a lazily imported module per command.

`files/` has the commands that read and write sound files, `running/` those beside a server.
"""

import gc
import os
import sys


def _open_closed_streams() -> None:
    """Opens the null device for each closed standard stream; otherwise a file of ours would get its descriptor."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            stream = os.fdopen(number, mode, closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def main() -> None:
    """Runs the console script."""
    # before numpy: a fork does not copy its threads, and for small blocks they cost more time than they save
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _open_closed_streams()
    try:
        from antiphon.kernel.runtime.processes.child_process import allow_copied_children, watch

        watch()
        if sys.argv[1:2] == ["run"] and sys.platform != "win32":
            allow_copied_children()
            # collections while modules are imported take a tenth of that time, and find nothing
            gc.set_threshold(50_000)
        from antiphon.cli.errors import check_home, leave, main as run

        check_home()
        if sys.argv[1:] == ["--help"]:
            from antiphon.cli import help_page

            if page := help_page.read():
                leave(0, f"{page}\n")
        from antiphon.cli.commands import application, works_on_files

        if works_on_files(sys.argv[1:]):
            from antiphon.cli.files.direct import set_priority_below_servers

            set_priority_below_servers()
        app = application(sys.argv[1:])
    except KeyboardInterrupt:
        # no command has started yet
        sys.exit(130)
    run(app)
