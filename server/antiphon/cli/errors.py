"""How commands end: every error becomes one line on standard error and an exit code.

0: done. 1: some of several failed, or standard output is full. 2: refused. 130: Ctrl-C (128 + the signal's number).
141: the reader closed standard output.
"""

import contextlib
import errno
import gc
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO

from antiphon.cli.progress import clear, style_text
from antiphon.kernel.errors import AntiphonError, FileError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.paths import os_error_text

if TYPE_CHECKING:
    import click

WIDTH = 100
"""Maximum columns of a help page: longer lines are hard to read, and the library's own 80 breaks most sentences."""
VARIABLE = "_ANTIPHON_COMPLETE"
"""Environment variable with which the script of a shell asks for completions."""
NO_PARTIAL_FILES = "no incomplete file was left"
"""Sentence for an interrupted command that writes its files atomically."""


class TerminationSignal(BaseException):
    """A termination signal as an exception; no KeyboardInterrupt, which the library would turn into its own exit."""

    def __init__(self, number: int, kept: str) -> None:
        super().__init__(number)
        self.number, self.kept = number, kept


class ComplaintHandler(logging.Handler):
    """Log handler of commands other than servers: prints warnings as complaints."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


def main(app: "click.Command") -> NoReturn:
    """Runs the command line and exits."""
    leave(run(app))


def leave(code: int, text: str = "") -> NoReturn:
    """Exits with `code`, or with the exit code of a failed print if `code` is 0 and the text cannot be printed."""
    # the command is complete: a Ctrl-C during the interpreter's shutdown must not change the exit code
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # the interpreter's shutdown would search all of it for cycles: a fifth of a short command's time
    sys.exit(code or _write_to_stdout(text))


def ensure_home() -> str:
    """Sets a home folder for an account without one, for example in a container with a random user number.

    Sets `ANTIPHON_HOME` for this process and its children. Returns a sentence about it; "" if there is a home. Raises
    FileError: there is no place for it.
    """
    if os.environ.get(paths.HOME) or all(os.environ.get(f"XDG_{kind}_HOME") for kind in ("CONFIG", "DATA", "CACHE")):
        return ""
    with contextlib.suppress(RuntimeError):
        if Path.home().is_absolute():
            return ""
    folder = paths.own_folder(paths.temporary() / f"antiphon-{os.getuid()}-home")
    os.environ[paths.HOME] = os.environ["HOME"] = str(folder)  # libraries look for the latter
    return f"this account has no home folder: what is yours is in {folder}; set {paths.HOME} to a folder that stays"


def check_home() -> None:
    """Says where the performer's files are if the account has no home; exits where there is no place for them."""
    try:
        if said := ensure_home():
            complain(said)
    except FileError as error:
        complain(str(error))
        sys.exit(2)


def run(app: "click.Command", arguments: list[str] | None = None) -> int:
    """Runs a command line and returns its exit code."""
    import click

    def work() -> int:
        try:
            if asked := os.environ.get(VARIABLE):
                if asked.startswith("complete_"):  # by a script that an earlier version installed
                    return 0
                from click.shell_completion import shell_complete

                return shell_complete(app, {}, "antiphon", VARIABLE, asked)
            # not by the library's `main`, which has its own ends for Ctrl-C and for a reader that is gone
            with app.make_context("antiphon", list(sys.argv[1:] if arguments is None else arguments)) as context:
                code = app.invoke(context)
            return code if isinstance(code, int) else 0
        except click.exceptions.Exit as ended:
            return ended.exit_code
        except KeyboardInterrupt:
            return 130
        except click.ClickException as error:
            return _print_click_error(error)

    return exit_code(work)


def exit_code(work: Callable[[], int]) -> int:
    """Runs `work`, reports its errors as sentences on standard error, and returns the exit code."""
    logging.lastResort = ComplaintHandler(logging.WARNING)
    try:
        if not (code := work()):
            sys.stdout.flush()
        return code
    except TerminationSignal as ended:
        return _report_interruption(ended.number, ended.kept)
    except KeyboardInterrupt:
        return _report_interruption(signal.SIGINT, NO_PARTIAL_FILES)
    except AntiphonError as error:
        complain(str(error))
        return 2
    except UnicodeEncodeError as error:
        from antiphon.kernel.runtime.shortening import short_repr
        from antiphon.kernel.runtime.typed import HALF

        complain(f"{short_repr(error.object)} {HALF}")
        return 2
    except BrokenPipeError:
        _discard_buffered(sys.stdout)
        return 141
    except OSError as error:
        # an error with a file name is the user's (an invalid name, a removed folder); one without is a bug
        if error.filename is None:
            if code := _write_to_stdout():
                return code
            if error.errno not in _FULL:
                raise
            complain(f"standard output cannot be written: {os_error_text(error)}")
            return 1
        name = str(error.filename)
        name = name if len(name) <= 120 else f"{name[:60]}...{name[-50:]}"
        complain(f"{name}: {(error.strerror or str(error)).lower()}; choose another name or place")
        return 2
    except ModuleNotFoundError as error:
        from antiphon.kernel.runtime import extras

        text = extras.of_error("this command", error)
        if not text:
            raise
        complain(text)
        return 2
    except MemoryError:
        complain("there is not enough memory for this")
        return 2


def complain(message: str) -> None:
    """Removes a progress bar from standard error, and writes one line there."""
    text = " ".join(message.split())
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    try:
        clear()
        sys.stderr.write(f"{style_text('antiphon:', 'bad', sys.stderr)} {text}\n")
        sys.stderr.flush()
    except OSError:
        _discard_buffered(sys.stderr)  # it cannot be written to


def complain_of_script(sentence: str, picture: str) -> None:
    """Complains of a script's fault, with its source excerpt below."""
    complain(sentence)
    if picture:
        sys.stderr.write("".join(f"  {line}\n" for line in picture.split("\n")))


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of an unbuffered stream; errors of files have a name."""


def _write_to_stdout(text: str = "") -> int:
    """Writes a text to standard output; reports a failure and returns its exit code, or 0."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_buffered(sys.stdout)
        return 141
    except OSError as error:
        _discard_buffered(sys.stdout)
        complain(f"standard output cannot be written: {os_error_text(error)}")
        return 1
    return 0


def _discard_buffered(stream: TextIO) -> None:
    """Discards the buffered text of a stream; else the interpreter would flush it at exit, and fail again."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)


@contextmanager
def termination_signals(kept: str = NO_PARTIAL_FILES, *, ctrl_c: bool = True) -> Iterator[None]:
    """Context in which SIGTERM, SIGHUP and Ctrl-C raise `TerminationSignal`, so that its code can clean up.

    ctrl_c: False leaves Ctrl-C unchanged.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise TerminationSignal(number, kept)

    numbers = (signal.SIGTERM, signal.SIGHUP, *((signal.SIGINT,) if ctrl_c else ()))
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report_interruption(number: int, kept: str) -> int:
    complain(f"stopped; {kept}")
    return 128 + number


def _print_click_error(error: "click.ClickException") -> int:
    """Prints an error of the command-line library in its own words; returns the exit code."""
    text, context = error.format_message().rstrip("."), getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stdout.write(f"{text}\n")
        return 2
    where = context.command_path if context is not None else "antiphon"
    text = _LEFT_OVER.sub(rf"{where} takes no \1", text)
    complain(f"{text} (see: {where} --help)")
    return error.exit_code


_LEFT_OVER = re.compile(r"^Got unexpected extra arguments? \((.+)\)$")
