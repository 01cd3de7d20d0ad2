"""Fits the axes of musicnn's embedding: principal components over equally weighted recordings.

python -m antiphon_models.classify.axes OUT FOLDER...
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, AntiphonError
from antiphon.api.backends.files import SOUND_FORMATS, Decoder
from antiphon.api.backends.models import write_weights
from antiphon_classify.features import AXES, DIMENSIONS
from antiphon_classify.musicnn import PatchStream, answers

SECONDS = 40.0
"""Seconds read from the beginning of a recording."""
SAID = {
    "plugin": "classify",
    "licence": "MIT",
    "trained_on": "Debian's music of games (GPL, CC BY-SA), ESC-10 (CC BY), Sonic Pi's samples (CC0)",
}


def embeddings(paths: list[Path]) -> Iterator[F32]:
    """The mean embedding `[400]` of each recording that can be read and is not silent."""
    for path in paths:
        try:
            with Decoder(path) as decoder:
                stream, frames = PatchStream(decoder.info.rate), 0
                for block in decoder.blocks():
                    stream.push(block.mean(axis=0))
                    frames += block.shape[1]
                    if frames >= SECONDS * decoder.info.rate:
                        break
        except AntiphonError:
            continue
        if len(patches := stream.patches()):
            yield np.concatenate([one.embedding.mean(axis=0) for one in answers(patches)])


def fit_axes(rows: F64) -> dict[str, NDArray[np.float16]]:
    """Fits `mean` and `axes` to embeddings `[n, 400]`, each normalised to length 1."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    mean = rows.mean(axis=0)
    _, _, axes = np.linalg.svd(rows - mean, full_matrices=False)
    return {"mean": mean.astype(np.float16), "axes": axes[:DIMENSIONS].T.astype(np.float16)}


if __name__ == "__main__":
    files = [p for folder in sys.argv[2:] for p in sorted(Path(folder).rglob("*")) if p.suffix.lower() in SOUND_FORMATS]
    write_weights(AXES, fit_axes(np.array(list(embeddings(files)), np.float64)), Path(sys.argv[1]), SAID)
