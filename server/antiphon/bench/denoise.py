"""`bench denoise`: the denoiser beside a plain gate, noisereduce and the oracle, on mixtures of real sounds."""

from __future__ import annotations

from pathlib import Path

from antiphon.bench.report import finish


def main(data: Path, seed: int, limit: int) -> None:
    """Runs the bench.

    Args:
        data: A folder with esc10/, tracks/ and sonicpi/.
        seed: Of the mixtures.
        limit: Most mixtures, 0 for all.
    """
    from antiphon_models.denoise.evaluation import evaluate, show

    result = evaluate(data, seed, limit or None)
    print(show(result).rpartition("\n")[0])
    finish("denoise", result)
