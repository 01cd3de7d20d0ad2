"""`antiphon bench denoise`, as the hook `antiphon_benches` registers it: the evaluation, with its figures as JSON."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

from antiphon.bench.entry import Bench, BenchOptions
from antiphon.bench.report import finish
from antiphon_models.denoise.evaluation import Denoising
from antiphon_models.learning.evaluation import EvaluationRequest, cells, table


def denoise() -> Bench:
    """The denoiser beside a plain gate, noisereduce and the oracle, on mixtures of real sounds."""
    return Bench(_run, lambda _: None)


def _run(asked: BenchOptions) -> None:
    evaluation, limit = Denoising(), asked.limit or None
    with tempfile.TemporaryDirectory() as work:
        request = EvaluationRequest(asked.data, Path(work), asked.seed, limit)
        found = cells(evaluation, evaluation.scores(request))
    for line in table(evaluation, found):
        print(line)
    finish("denoise", {"seed": asked.seed, "limit": limit, "figures": [asdict(cell) for cell in found]})
