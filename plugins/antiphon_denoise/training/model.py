"""The network and the gate as the processor computes them, over whole batches, for gradients.

Shapes: N items, T frames, `BINS` bins, `COUNT` bands. All levels are natural logarithms of power.
"""

from __future__ import annotations

from typing import Any

import jax  # type: ignore[import-not-found]
import jax.numpy as jnp  # type: ignore[import-not-found]
import numpy as np

from antiphon_denoise.bands import BINS, COUNT, places
from antiphon_denoise.network import HIDDEN, LAYOUT

Weights = dict[str, jax.Array]
QUIET = 1e-10
SHORT, LONG, LEVEL = 0.6, 0.97, 0.99


def _spread() -> np.ndarray:
    """`[COUNT, BINS]`: how much of each bin is each band's."""
    below, way = places(BINS)
    spread = np.zeros((COUNT, BINS), np.float32)
    spread[below, np.arange(BINS)] += 1 - way
    spread[below + 1, np.arange(BINS)] += way
    return spread


SPREAD = _spread()
MEAN = (SPREAD / SPREAD.sum(axis=1, keepdims=True)).T.copy()
# the gate acts bin by bin: a part of the upper bins, weighted up, stands for all of them in the loss
SOME = np.concatenate([np.arange(256), np.arange(256, 512, 2), np.arange(512, BINS, 4)])
WEIGHT = np.where(SOME < 256, 1.0, np.where(SOME < 512, 2.0, 4.0)).astype(np.float32)


def start(key: jax.Array) -> Weights:
    """Weights that let everything through."""
    keys = jax.random.split(key, len(LAYOUT))
    made: Weights = {}
    for one, (name, shape) in zip(keys, LAYOUT, strict=True):
        if len(shape) == 2:
            scale = {"v": 0.5, "w": 0.2 if name == "wo" else 1.0}.get(name[0], 1.0)
            made[name] = scale * jax.random.normal(one, shape) / np.sqrt(shape[0])
        else:
            made[name] = jnp.zeros(shape)
    made["bo"] = jnp.repeat(jnp.array([2.5, 0.5, 0.3, 0.0, 0.0, -1.5]), COUNT)
    return made


def _smooth(x: jax.Array, keep: float) -> jax.Array:
    def step(state: jax.Array, now: jax.Array) -> tuple[jax.Array, jax.Array]:
        state = keep * state + (1 - keep) * now
        return state, state

    return jnp.swapaxes(jax.lax.scan(step, x[:, 0], jnp.swapaxes(x, 0, 1))[1], 0, 1)


def _mean_level(frame: jax.Array) -> jax.Array:
    """Log of the mean since the start at first, then over some 100 frames; `frame` `[N, T]` is power."""

    def step(state: tuple[jax.Array, jax.Array], now: jax.Array) -> tuple[Any, jax.Array]:
        mean, count = state
        count = count * LEVEL + 1
        mean = mean + (now - mean) / count
        return (mean, count), mean

    first = (jnp.zeros(frame.shape[0]), jnp.float32(0))
    return jnp.log(jax.lax.scan(step, first, frame.T)[1].T + 1e-8)


def _recur(x: jax.Array, u: jax.Array, v: jax.Array, c: jax.Array, d: jax.Array) -> jax.Array:
    given = x @ u + c
    h = HIDDEN

    def step(state: jax.Array, now: jax.Array) -> tuple[jax.Array, jax.Array]:
        heard = state @ v
        update = jax.nn.sigmoid(now[:, :h] + heard[:, :h])
        reset = jax.nn.sigmoid(now[:, h : 2 * h] + heard[:, h : 2 * h])
        fresh = jnp.tanh(now[:, 2 * h :] + reset * (heard[:, 2 * h :] + d))
        state = (1 - update) * fresh + update * state
        return state, state

    first = jnp.zeros((x.shape[0], h))
    return jnp.swapaxes(jax.lax.scan(step, first, jnp.swapaxes(given, 0, 1))[1], 0, 1)


def gains(w: Weights, power: jax.Array, noise: jax.Array, known: jax.Array) -> jax.Array:
    """The gate's gain at the bins `SOME`: `[N, T, len(SOME)]`.

    power `[N, T, BINS]`; noise `[N, BINS]`, log power of the learned noise; known `[N, T]`, 1 from where it is.
    """
    log = jnp.log(power + QUIET)
    level = jnp.log(power @ MEAN + QUIET)
    flat = log @ MEAN - level
    frame = power.mean(-1)
    mean = _mean_level(frame)
    above = jnp.clip(jnp.log(jnp.exp(noise) @ MEAN + QUIET)[:, None] - level, -6, 3) * known[..., None]
    x = jnp.concatenate(
        [
            (level - mean[..., None]) / 3, flat + 0.6, above / 2, known[..., None],
            (jnp.log(frame + QUIET) - mean)[..., None] / 2, (mean[..., None] + 8) / 5,
        ],
        -1,
    )  # fmt: skip
    x = jnp.tanh(x @ w["w0"] + w["b0"])
    low = _recur(x, w["u1"], w["v1"], w["c1"], w["d1"])
    high = _recur(low, w["u2"], w["v2"], w["c2"], w["d2"])
    rule = jnp.concatenate([low, high], -1) @ w["wo"] + w["bo"]
    rule = rule.reshape(*rule.shape[:2], 6, COUNT) @ SPREAD[:, SOME]
    here = level @ SPREAD[:, SOME]
    log = log[..., SOME]
    drive = rule[..., 0, :] + rule[..., 1, :] * (log - here)
    drive += rule[..., 2, :] * (_smooth(log, SHORT) - here) + rule[..., 3, :] * (_smooth(log, LONG) - here)
    drive += rule[..., 4, :] * jnp.clip(noise[:, None, SOME] - here, -8, 4) * known[..., None]
    rest = jax.nn.sigmoid(rule[..., 5, :])
    return rest + (1 - rest) * jax.nn.sigmoid(drive)


def ratio(
    gain: jax.Array | float, clean: jax.Array, mixed: jax.Array, shared: jax.Array, frames: jax.Array
) -> jax.Array:
    """SI-SDR in dB of the gated mixture, from powers at the bins `SOME`, each `[N, T, len(SOME)]`.

    shared: real part of the mixture times the conjugate of the clean sound. frames `[N, T]`: 1 where counted.
    """
    weight = frames[..., None] * WEIGHT
    own = (weight * clean).sum((1, 2))
    along = (weight * gain * shared).sum((1, 2)) ** 2 / (own + 1e-9)
    whole = (weight * gain * gain * mixed).sum((1, 2))
    return 10 * jnp.log10((along + 1e-12) / (jnp.maximum(whole - along, 0) + 1e-7 * own))
