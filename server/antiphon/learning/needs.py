"""What making material needs and is not there, said in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from antiphon.errors import UsageError

PACKAGES = {"espeak-ng": "espeak-ng", "fluidsynth": "fluidsynth fluid-soundfont-gm timgm6mb-soundfont"}
"""By program, the Debian packages that bring it and what it plays."""

INSTALL = "`make models` installs torch, `.venv/bin/pip install -e '.[training,bench]'` in Antiphon's folder the rest"
"""Of what only training and evaluation import."""


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
