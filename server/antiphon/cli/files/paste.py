"""`antiphon paste`: a program of Strudel or Tidal as a live script."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.paths import write_atomic


def paste(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A program of Strudel or Tidal; - reads it from here.")],
    out: Annotated[str, typer.Option("--out", metavar="SET.py", help="The script; without it, it is printed.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Let --out replace an existing file.")] = False,
) -> None:
    """Translate a program of Strudel or Tidal into a live script; what has no counterpart stands as a comment."""
    from antiphon.paste.program import translated

    made, script = translated(_text(file))
    if not out:
        typer.echo(made, nl=False)
    else:
        target = Path(out)
        if target.exists() and not force:
            raise UsageError(f"{out} is there already; --force replaces it")
        write_atomic(target, made.encode(), 0o644)
    left = len(script.left_out)
    parts = f"; {left} {'part is' if left == 1 else 'parts are'} left out, each with its reason" if left else ""
    tracks = len(script.tracks)
    typer.echo(f"{tracks} {'track' if tracks == 1 else 'tracks'}{parts}", err=True)


def _text(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no text") from None
