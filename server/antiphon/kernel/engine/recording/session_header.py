"""The first line of a session log: versions, machine and settings."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from antiphon import __version__
from antiphon.kernel.runtime.model_files import checksums
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.synth import backends
from antiphon.kernel.workers import devices

SEED = 1
"""Seed of every random generator in a recorded session; processors take it where they need one."""


def header(settings: ServeSettings) -> dict[str, Any]:
    """Versions, machine and settings: a replay gives the same samples if all of these are equal."""
    return {
        "version": __version__,
        "numpy": _version("numpy"),
        "torch": _version("torch"),
        **{info.needs: _version(info.needs) for info in backends.infos() if info.needs},
        "device": devices.resolve(settings.device),
        "synth": settings.synth,
        "llvmlite": _version("llvmlite"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "seed": SEED,
        "patch": settings.patch,
        "weights": checksums(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
