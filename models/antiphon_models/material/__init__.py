"""Synthesised sound for any model: interfaces to FluidSynth and espeak-ng, MIDI bytes, tables of constants in TOML.

A table is beside the module that uses it. May import `antiphon.api` and `learning`, but nothing of a model or a plugin.
"""

import tomllib
from pathlib import Path
from typing import Any


def table_beside(module_file: str) -> dict[str, Any]:
    """Reads the TOML file beside a module with its name, lists as tuples. `module_file`: the module's `__file__`."""
    return {
        k: to_tuples(v) for k, v in tomllib.loads(Path(module_file).with_suffix(".toml").read_text("utf-8")).items()
    }


def to_tuples(value: Any) -> Any:
    """Converts the lists in a TOML value to tuples."""
    if isinstance(value, dict):
        return {name: to_tuples(item) for name, item in value.items()}
    return tuple(map(to_tuples, value)) if isinstance(value, list) else value
