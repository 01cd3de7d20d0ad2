"""Puts trained weights into `models/` and notes them in the manifest: install OUT.safetensors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from antiphon import models, resources
from antiphon_denoise.network import MODEL, load_weights

SAID = {
    "plugin": "denoise",
    "licence": "MIT",
    "trained_on": (
        "ESC-10 folds 1-4 over librosa's example recordings, Sonic Pi loops, POP909 and JSB renders, espeak-ng voices"
    ),
    "card": "plugins/antiphon_denoise/README.md",
}


def main(path: Path) -> None:
    """Half precision is enough: the rules it gives differ by less than a thousandth."""
    named = load_weights(path)
    if named is None:
        raise SystemExit(f"{path} holds no weights of the denoiser")
    halves = {name: value.astype(np.float16) for name, value in named.items()}
    count = sum(value.size for value in named.values())
    models.write(MODEL, halves, resources.models(), {**SAID, "parameters": count})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
