"""The first line of a set's log: everything that a replay needs to produce the same samples."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from antiphon.backends import info as synths
from antiphon.kernel.runtime import resources
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.workers import devices

if TYPE_CHECKING:  # the supervisor has no control
    from antiphon.kernel.control.app import ControlApp

SEED = 1
"""Seed of all random generators in a recorded session, for processors that need one."""


def header(settings: ServeSettings) -> dict[str, Any]:
    """Versions, machine and settings: a replay gives the same samples if all of these are equal."""
    return {
        "version": _version("antiphon"),
        "numpy": _version("numpy"),
        "torch": _version("torch"),
        **{info.needs: _version(info.needs) for info in synths.infos() if info.needs},
        "device": devices.resolve(settings.device),
        "synth": settings.synth,
        "llvmlite": _version("llvmlite"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "seed": SEED,
        "patch": settings.patch,
        "weights": model_checksums(),
    }


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # 20 ms, and this process may never be asked

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def model_checksums() -> dict[str, str]:
    """The sha256 of every model in the manifest; empty without a manifest."""
    try:
        manifest = resources.parse_manifest((resources.models() / resources.MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # reading a model's weights reports the error
    return {name: str(row["sha256"]) for name, row in manifest.items() if isinstance(row, dict) and "sha256" in row}


def join(app: ControlApp, settings: ServeSettings, fds: Mapping[str, int]) -> None:
    """Gives control the header of a log; a function of `Companions.control`."""
    app.session_header = partial(header, settings)
