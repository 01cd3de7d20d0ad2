"""Named axes of a latent space: note descriptors, and a rotation of the space towards them."""

import numpy as np

from antiphon.api import F32, F64
from antiphon_latent.decoder import AXES, CONDITIONS, PartialDecoder
from antiphon_latent.partials import HELD, PARTIALS, RELEASE_TIMES, TIMES

SAMPLED_NOTES = 3000
"""Number of notes that sample a space."""
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
