"""Fits principal components of notes: python -m antiphon_models.latent.pca WORK, where WORK is for material.

Each level is fitted linearly by pitch and velocity, and the residual by eight components, all without gradients.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.files import make_folder
from antiphon_latent.decoder import (
    AXES,
    CONDITIONS,
    FRAMES,
    HELD,
    PARTIALS,
    RELEASE_TIMES,
    ROW,
    TIMES,
    PartialDecoder,
    conditions,
)
from antiphon_models.latent.material import Notes, measure_font_notes
from antiphon_models.material.wheels import make_and_write_weights

# ---- Named axes of a latent space: note descriptors, and a rotation of the space towards them

SAMPLED_NOTES = 3000
"""Number of notes drawn from a space as its sample."""
KEYS = (45, 72)


def describe_notes(level: F32) -> F64:
    """Descriptors of notes in dB `[n, FRAMES, ROW]`: `[n, 8]`, in the order of `antiphon_latent.processor.AXIS_DOC`."""
    power = 10.0 ** (np.maximum(level, -80.0).astype(np.float64) / 10.0)
    held, body = power[:, :HELD], power[:, 5:32].mean(axis=1)
    partials, noise = body[:, :PARTIALS], body[:, PARTIALS:]
    loud = held.sum(axis=2)
    rises = (loud > 0.25 * loud.max(axis=1, keepdims=True)).argmax(axis=1)
    after = power[:, HELD:].sum(axis=2)
    ring = int(np.searchsorted(RELEASE_TIMES, 0.15))
    each = np.maximum(_db(partials), -60.0)
    return np.stack(
        [
            _centre(partials),
            _db(noise.sum(axis=1) / body.sum(axis=1)),
            np.log2(0.005 + TIMES[rises]),
            _db(partials[:, 0:12:2].sum(axis=1) / partials[:, 1:12:2].sum(axis=1)),
            _db(after[:, ring] / after[:, 0]),
            _centre(noise),
            _centre(held[:, 25:40, :PARTIALS].mean(axis=1)) - _centre(held[:, :8, :PARTIALS].mean(axis=1)),
            each[:, 3:8].mean(axis=1) - 0.5 * (each[:, :3].mean(axis=1) + each[:, 8:16].mean(axis=1)),
        ],
        axis=1,
    )


def _centre(power: F64) -> F64:
    """Spectral centroid: logarithm of the mean column index `[n, columns]`, from 1."""
    return np.asarray(np.log2(power @ np.arange(1, power.shape[1] + 1) / power.sum(axis=1)))


def _db(power: F64) -> F64:
    return np.asarray(10.0 * np.log10(power))


def name_axes(decoder: PartialDecoder) -> F64:
    """Rotation `[AXES, AXES]` of a space: axis k raises descriptor k and keeps those before it."""
    rng = np.random.default_rng(3)
    places = rng.standard_normal((SAMPLED_NOTES, AXES)).astype(np.float32)
    pitch, velocity = rng.uniform(*KEYS, SAMPLED_NOTES), rng.uniform(0.3, 1.0, SAMPLED_NOTES)
    found = np.concatenate(
        [
            describe_notes(decoder.notes(places[n : n + 250], pitch[n : n + 250], velocity[n : n + 250]))
            for n in range(0, SAMPLED_NOTES, 250)
        ]
    )
    told = decoder.inputs(places, pitch, velocity)[:, -CONDITIONS:]
    given = np.concatenate([np.ones((SAMPLED_NOTES, 1)), told], axis=1)
    found -= given @ np.linalg.lstsq(given, found, rcond=None)[0]
    found /= found.std(axis=0) + 1e-9
    slopes = np.linalg.lstsq(places, found, rcond=None)[0]
    rotation: list[F64] = []
    for k in range(AXES):
        direction = slopes[:, k].copy()
        for other in rotation:
            direction -= other * (other @ direction)
        # what is left may point anywhere, but is at a right angle to the others
        rotation.append(direction / np.linalg.norm(direction))
    return np.array(rotation)


SAID = {
    "plugin": "latent",
    "licence": "MIT",
    "trained_on": "notes of General MIDI programs 0 to 111 by the soundfont FluidR3_GM (MIT)",
}


def components(notes: Notes, count: int = AXES) -> tuple[F64, F64, F64]:
    """Regression on conditions `[1 + CONDITIONS, FRAMES * ROW]`, components, and positions `[n, count]` of the notes.

    Components are `[count, FRAMES * ROW]`, each scaled to one standard deviation.
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


def decoder_arrays(lines: F64, basis: F64) -> dict[str, NDArray[Any]]:
    """Arrays of a decoder, with named axes."""
    rows = np.concatenate([basis, lines[1:]]).T.reshape(FRAMES, ROW, AXES + CONDITIONS)
    arrays = {"axes": np.eye(AXES), "rows": rows, "base": lines[0].reshape(FRAMES, ROW)}
    return rotate_to_named_axes(arrays)


def rotate_to_named_axes(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A decoder's arrays with its space rotated to the named axes, in half precision."""
    rotation = name_axes(PartialDecoder(arrays))
    return {**{k: v.astype(np.float16) for k, v in arrays.items()}, "axes": (rotation @ arrays["axes"]).astype("f4")}


def fit_components(work: Path) -> dict[str, NDArray[Any]]:
    """Fits the components to the notes of FluidR3; returns their arrays."""
    lines, basis, _ = components(measure_font_notes(make_folder(work / "latent" / "material-1"), print))
    return decoder_arrays(lines, basis)


if __name__ == "__main__":
    make_and_write_weights("latent-pca", fit_components, SAID, __doc__, "work")
