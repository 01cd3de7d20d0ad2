"""`antiphon bench denoise`: the evaluation, with its figures as JSON."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

from antiphon_bench.report import finish
from antiphon_models.denoise.evaluation import Denoising
from antiphon_models.learning.evaluation import EvaluationRequest, cells, table


def main(data: Path, seed: int, most: int) -> None:
    """Measures the denoiser beside a plain gate, noisereduce and the oracle, on mixtures of real sounds.

    Args:
        data: The folder of songs, loops and noises.
        seed: Random seed of the mixtures.
        most: Mixtures; 0 for all.
    """
    evaluation, limit = Denoising(), most or None
    with tempfile.TemporaryDirectory() as work:
        request = EvaluationRequest(data, Path(work), seed, limit)
        found = cells(evaluation, evaluation.scores(request))
    for line in table(evaluation, found):
        print(line)
    finish("denoise", {"seed": seed, "limit": limit, "figures": [asdict(cell) for cell in found]})
