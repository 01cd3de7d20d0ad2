"""`antiphon paste`: a program of Strudel or Tidal, or a MIDI file, as a live script."""

import sys
from pathlib import Path
from typing import Annotated

import click

from antiphon.files.scores.midifile import SUFFIXES
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.paths import write_atomic
from antiphon.paste.translation import MAX_CHARACTERS, Translation, translation


def paste(
    file: Annotated[str, argument("A program of Strudel or Tidal, or a MIDI file; - is standard input.", "FILE")],
    out: Annotated[str, argument("The script; without it, it is printed.", "SET.py")] = "",
    force: Annotated[bool, argument("Let --out replace an existing file.")] = False,
) -> None:
    """Translate a program of Strudel or Tidal, or a MIDI file, into a live script.

    Parts without a counterpart become comments. A MIDI file becomes one pattern per bar; repeated bars share one.
    """
    made = _song(file) if file.lower().endswith(SUFFIXES) else translation(_text(file))
    text = made.text.rstrip("\n") + "\n"
    if not out:
        click.echo(text, nl=False)
    else:
        target = Path(out)
        if target.exists() and not force:
            raise UsageError(f"{out} is there already; --force replaces it")
        write_atomic(target, text.encode(), 0o644)
    left = made.left_out
    parts = f"; {left} {'part is' if left == 1 else 'parts are'} left out, each with its reason" if left else ""
    click.echo(f"{made.tracks} {'track' if made.tracks == 1 else 'tracks'}{parts}", err=True)


def _song(file: str) -> Translation:
    from antiphon.files.scores.midifile import read
    from antiphon.paste.song import translate_song

    return translate_song(read(Path(file)))


def _text(file: str) -> str:
    try:
        with open(sys.stdin.fileno() if file == "-" else file, "rb", closefd=file != "-") as source:
            return source.read(4 * MAX_CHARACTERS + 4).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no text") from None
