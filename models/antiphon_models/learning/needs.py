"""Missing folders, packages and programs of trainings and evaluations, as one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from antiphon.api import UsageError
from antiphon.api.backends.runtime import missing_by_error

PACKAGES = {
    "espeak-ng": "espeak-ng",
    "fluidsynth": "fluidsynth fluid-soundfont-gm timgm6mb-soundfont",
    "FluidR3_GM.sf2": "fluid-soundfont-gm",
    "TimGM6mb.sf2": "timgm6mb-soundfont",
    "OPL-3_FM_128M.sf2": "opl3-soundfont",
    "MuseScore_General_Lite.sf3": "musescore-general-soundfont-small",
}
"""By program and by soundfont, the Debian packages that bring it and what it plays."""


def missing_folders(data: Path, wanted: Sequence[str]) -> list[str]:
    """Names of the wanted folders that `data` does not hold."""
    return [name for name in wanted if not (data / name).is_dir()]


def lack(data: Path, name: str) -> str:
    """What is said of `data` where the wanted folder `name` is not in it, or there is no such folder itself."""
    return f"{data} holds no {name}/" if data.is_dir() else f"there is no folder {data}, which would hold {name}/"


def folders(data: Path, wanted: Sequence[str], own: str = "") -> None:
    """Raises `UsageError` where the folder of songs, loops and noises lacks one that is wanted.

    own: what can be done without it, "" where nothing can.
    """
    missing = missing_folders(data, wanted)
    if missing:
        raise UsageError(
            f"{lack(data, missing[0])}: --data FOLDER names a folder that holds {', '.join(wanted)}; "
            f"docs/lab.md (Data) says where they are from{f'. {own}' if own else ''}"
        )


@contextmanager
def explain_missing(name: str) -> Iterator[None]:
    """`UsageError` for a module or a program that is missing while `name` is trained or evaluated."""
    try:
        yield
    except ModuleNotFoundError as error:
        if not (text := missing_by_error(name, error)):
            raise
        raise UsageError(text) from None
    except FileNotFoundError as error:
        packages = PACKAGES.get(Path(str(error.filename)).name)
        if packages is None:
            raise
        raise UsageError(f"{name} needs {error.filename}; sudo apt-get install {packages}") from None
