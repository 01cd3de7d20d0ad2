"""Missing folders, packages and programs of trainings and evaluations, as one sentence each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from antiphon.api import UsageError
from antiphon.kernel.runtime.extras import of_error as missing_by_error

PACKAGES = {
    "espeak-ng": "espeak-ng",
    "fluidsynth": "fluidsynth fluid-soundfont-gm timgm6mb-soundfont",
    "FluidR3_GM.sf2": "fluid-soundfont-gm",
    "TimGM6mb.sf2": "timgm6mb-soundfont",
    "OPL-3_FM_128M.sf2": "opl3-soundfont",
    "MuseScore_General_Lite.sf3": "musescore-general-soundfont-small",
}
"""Debian packages of programs and soundfonts, with their purpose."""


def missing_folders(data: Path, wanted: Sequence[str]) -> list[str]:
    """Names of required folders missing in `data`."""
    return [name for name in wanted if not (data / name).is_dir()]


def missing_text(data: Path, name: str) -> str:
    """Sentence saying that the folder `name` is missing in `data`, or that `data` is missing."""
    return f"{data} holds no {name}/" if data.is_dir() else f"there is no folder {data}, which would hold {name}/"


def folders(data: Path, wanted: Sequence[str], own: str = "") -> None:
    """Raises `UsageError` for a missing required folder of songs, loops or noises.

    own: what the user can do without it, or "" for nothing.
    """
    missing = missing_folders(data, wanted)
    if missing:
        raise UsageError(
            f"{missing_text(data, missing[0])}: --data FOLDER names a folder that holds {', '.join(wanted)}; "
            f"docs/lab.md (Data) says where they are from{f'. {own}' if own else ''}"
        )


@contextmanager
def explain_missing(name: str) -> Iterator[None]:
    """Context that converts a missing module or program to a `UsageError` about training or evaluating `name`."""
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
