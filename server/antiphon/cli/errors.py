"""How commands end: one line on standard error and an exit code, whatever went wrong.

0 done, 1 some of several failed, 2 refused, 130 Ctrl-C (128 + the signal's number), 141 the reader went away.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import typer

from antiphon.cli.progress import clear
from antiphon.cli.refusals import sentence
from antiphon.cli.style import styled
from antiphon.errors import AntiphonError

# typer carries its command-line library inside in some versions and beside it in others; both give
# `BadParameter` its base classes.
_Usage, _Shown = typer.BadParameter.__mro__[1:3]


class Ended(BaseException):
    """A signal asks this process to end. `number`: the signal's.

    Not a KeyboardInterrupt, which typer would turn into an exit of its own.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(app: typer.Typer, arguments: list[str] | None = None) -> NoReturn:
    """Runs the command line and exits."""
    code = run(app, arguments)
    # what was to be done is done: a Ctrl-C while the interpreter clears up changes nothing of it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def run(app: typer.Typer, arguments: list[str] | None = None) -> int:
    """Runs the command line; its exit code."""
    try:
        code: Any = typer.main.get_command(app).main(args=arguments, prog_name="antiphon", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except Ended as ended:
        return _interrupted(ended.number)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(signal.SIGINT)
    except typer.Exit as asked:
        return asked.exit_code
    except AntiphonError as error:
        complain(str(error))
        return 2
    except BrokenPipeError:
        # what is still buffered would be written at exit, and fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        # a name no system call takes, a folder gone meanwhile: the person's to mend, unless it names no file
        if error.filename is None:
            raise
        name = str(error.filename)
        name = name if len(name) <= 120 else f"{name[:60]}...{name[-50:]}"
        complain(f"{name}: {(error.strerror or str(error)).lower()}; choose another name or place")
        return 2
    except MemoryError:
        complain("there is not enough memory for this")
        return 2
    except Exception as error:
        if not isinstance(error, _Shown):
            raise
        return _refused(error, sys.argv[1:] if arguments is None else arguments)


def complain(message: str) -> None:
    """One line on standard error, in one piece; a bar that is drawn there goes first."""
    text = " ".join(message.split())
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    clear()
    sys.stderr.write(f"{styled('antiphon:', 'bad', sys.stderr)} {text}\n")
    sys.stderr.flush()


@contextmanager
def endable() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP raise `Ended` in what is inside, so that it can clean up."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Ended(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupted(number: int) -> int:
    complain("stopped; nothing was left half written")
    return 128 + number


def _refused(error: BaseException, arguments: Sequence[str]) -> int:
    text = sentence(error, arguments)
    context = getattr(error, "ctx", None)
    if isinstance(error, _Usage) and type(error).__name__ == "NoArgsIsHelpError":
        sys.stdout.write(f"{text}\n")
        return 2
    where = context.command_path if context is not None else "antiphon"
    complain(f"{text} (see: {where} --help)")
    return int(getattr(error, "exit_code", 2))
