"""Principal components of notes: python -m antiphon_models.latent.pca WORK, where WORK is for material.

A line for each level by pitch and velocity, and eight components of what is left. Nothing is learned by gradient.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.backends.files import make_folder
from antiphon.api.backends.models import models_folder, write_weights
from antiphon_latent.decoder import AXES, CONDITIONS, PartialDecoder, conditions
from antiphon_latent.partials import FRAMES, ROW
from antiphon_models.latent.axes import name_axes
from antiphon_models.latent.material import Notes, by_font

SAID = {
    "plugin": "latent",
    "licence": "MIT",
    "trained_on": "notes of General MIDI programs 0 to 111 by the soundfont FluidR3_GM (MIT)",
    "card": "plugins/antiphon_latent/README.md",
}


def components(notes: Notes, count: int = AXES) -> tuple[F64, F64, F64]:
    """Regression on conditions `[1 + CONDITIONS, FRAMES * ROW]`, components, and positions `[n, count]` of the notes.

    Components are `[count, FRAMES * ROW]` of one deviation each.
    """
    level = notes.level.reshape(len(notes.level), -1).astype(np.float64)
    there = notes.there.reshape(level.shape)
    given = np.concatenate([np.ones((len(level), 1)), conditions(notes.pitch, notes.velocity)], axis=1)
    lines = np.zeros((given.shape[1], level.shape[1]))
    # columns that are there in the same notes have one solution
    for rows in np.unique(there.T, axis=0):
        columns = (there == rows[:, None]).all(axis=0)
        if rows.any():
            ridge = np.vstack([given[rows], 0.5 * np.eye(given.shape[1])])
            wanted = np.vstack([level[rows][:, columns], np.zeros((given.shape[1], int(columns.sum())))])
            lines[:, columns] = np.linalg.lstsq(ridge, wanted, rcond=None)[0]
        else:
            lines[0, columns] = -80.0
    left = np.where(there, level - given @ lines, 0.0)
    basis = np.random.default_rng(1).standard_normal((left.shape[1], count + 8))
    for _ in range(6):  # subspace iteration; what is missing is filled by the components so far
        basis = np.linalg.qr(left.T @ (left @ basis))[0]
        left = np.where(there, left, (left @ basis) @ basis.T)
    turn = np.linalg.svd(left @ basis, full_matrices=False)[2]
    basis = (basis @ turn.T)[:, :count].T
    places = left @ basis.T
    scale = np.maximum(places.std(axis=0), 1e-6)
    return lines, basis * scale[:, None], places / scale


def weights_of(lines: F64, basis: F64) -> dict[str, NDArray[Any]]:
    """Arrays of a decoder, with named axes."""
    rows = np.concatenate([basis, lines[1:]]).T.reshape(FRAMES, ROW, AXES + CONDITIONS)
    arrays = {"axes": np.eye(AXES), "rows": rows, "base": lines[0].reshape(FRAMES, ROW)}
    return with_axes(arrays)


def with_axes(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Arrays of a decoder with its space rotated to the named axes, in half precision."""
    rotation = name_axes(PartialDecoder(arrays))
    return {**{k: v.astype(np.float16) for k, v in arrays.items()}, "axes": (rotation @ arrays["axes"]).astype("f4")}


def main(work: Path) -> None:
    """Fits, and writes the shipped weights."""
    notes = by_font(make_folder(work / "latent" / "material-1"), print)
    lines, basis, _ = components(notes)
    arrays = weights_of(lines, basis)
    write_weights("latent-pca", arrays, models_folder(), {**SAID, "parameters": sum(a.size for a in arrays.values())})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
