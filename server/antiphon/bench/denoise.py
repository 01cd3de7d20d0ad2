"""`bench denoise`: the denoiser beside a plain gate, noisereduce and the oracle, on mixtures of real sounds."""

from __future__ import annotations

from pathlib import Path

from antiphon.bench.report import finish


def main(data: Path, seed: int, limit: int) -> None:
    """data: a folder that holds esc10/, tracks/ and sonicpi/. limit: mixtures at most, 0 for all."""
    from antiphon_models.denoise.evaluation import evaluate, show

    result = evaluate(data, seed, limit or None)
    print(show(result).rpartition("\n")[0])
    finish("denoise", result)
