"""The sounds, patches, models and SynthDefs that come with Antiphon; read-only.

A checkout's folders stand before those in the wheel: an editable install would hold stale copies.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parents[2]


def checkout() -> Path | None:
    """The root of the working tree this code runs from, or None when it is installed."""
    root = _HERE.parents[1]
    if _HERE.parent.name == "server" and (root / "pyproject.toml").is_file():
        return root
    return None


def folder(name: str) -> Path:
    """Finds a folder that ships with Antiphon; read-only.

    `name`: "library", "patches", "models", "supercollider" or "docs". Returns the checkout's where Antiphon runs from
    one, otherwise the installed one.
    """
    root = checkout()
    return root / name if root is not None else _HERE / "data" / name


def patches() -> Path:
    """The folder of the patches that ship with Antiphon, read-only."""
    return folder("patches")


def models() -> Path:
    """Finds the folder of the weights that ship with Antiphon.

    Returns the checkout's where Antiphon runs from one, otherwise the installed one.
    """
    return folder("models/weights")
