"""What training and measuring need and is not there, said in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from antiphon.errors import UsageError

PACKAGES = {"espeak-ng": "espeak-ng", "fluidsynth": "fluidsynth fluid-soundfont-gm timgm6mb-soundfont"}
"""By program, the Debian packages that bring it and what it plays."""

INSTALL = "`make models` installs torch, `.venv/bin/pip install -e '.[training,bench]'` in Antiphon's folder the rest"
"""The commands that install what only training and evaluation import, in words."""


def folders(data: Path, wanted: Sequence[str], own: str = "") -> None:
    """Checks that a data folder holds the data sets that are needed.

    Args:
        data: The folder.
        wanted: Names of the folders in it.
        own: What can be done without them, one sentence; "" where nothing can.

    Raises:
        UsageError: One is missing; the message says where it is from.
    """
    missing = [name for name in wanted if not (data / name).is_dir()]
    if missing:
        raise UsageError(
            f"{data} holds no {missing[0]}/: --data FOLDER names a folder that holds {', '.join(wanted)}; "
            f"docs/training.md (Data) says where they are from{f'. {own}' if own else ''}"
        )


@contextmanager
def said(name: str) -> Iterator[None]:
    """`UsageError` for a module or a program that is missing while `name` is trained or evaluated."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(f"{name} needs {error.name}, which is not installed; {INSTALL}") from None
    except FileNotFoundError as error:
        packages = PACKAGES.get(str(error.filename))
        if packages is None:
            raise
        raise UsageError(f"{name} needs {error.filename}; sudo apt-get install {packages}") from None
