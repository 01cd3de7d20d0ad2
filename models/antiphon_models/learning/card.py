"""The figures of an evaluation between two marker lines, which `antiphon evaluate NAME --card` replaces.

Those of the plugins here are in `models/RESULTS.md`, those of a plugin elsewhere in its README:

<!-- figures of NAME: antiphon evaluate NAME --card -->
<!-- end of figures of NAME -->
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from antiphon.api import UsageError
from antiphon.api.files import write_atomic
from antiphon_models.learning.evaluation import Cell, Evaluation, EvaluationRequest, figure_lines

FENCE = "```"
RESULTS = Path(__file__).parents[2] / "RESULTS.md"


def check(name: str, evaluation: Evaluation, ask: EvaluationRequest) -> None:
    """Checks, before anything is measured, that this request's figures can go into the card.

    Raises:
        UsageError: There is no card, its README lacks the markers or cannot be written, or the request measures
            something other than all systems on the evaluation's own items.
    """
    if ask.files or ask.systems or ask.synthetic:
        what = "files of yours" if ask.files else "some systems" if ask.systems else f"items without {ask.data}"
        raise UsageError(f"a card has all systems on the evaluation's own items, and this measures {what}")
    path = readme(name, evaluation)
    split(path, name)
    if not os.access(path, os.W_OK):
        raise UsageError(f"{path} cannot be written to; --card is for a checkout of Antiphon")


def readme(name: str, evaluation: Evaluation) -> Path:
    """The page with the figures: `RESULTS` where it has their markers, else the README.md of the evaluation's plugin.

    Raises:
        UsageError: There is neither.
    """
    if evaluation.card and RESULTS.is_file() and markers(name)[0] in RESULTS.read_text():
        return RESULTS
    spec = importlib.util.find_spec(evaluation.card) if evaluation.card else None
    path = Path(spec.origin).parent / "README.md" if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise UsageError(f"{name} has no card; leave --card out, the figures are shown all the same")
    return path


def split(path: Path, name: str) -> tuple[str, str, str]:
    """The README's text before the figures, the figures, and the text after them.

    Raises:
        UsageError: It has not each marker once, in their order.
    """
    text = path.read_text()
    begin, end = markers(name)
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
        raise UsageError(f"{path} must hold these two lines once, where the figures belong: {begin} and {end}")
    before, _, rest = text.partition(begin)
    figures, _, after = rest.partition(end)
    return before, figures, after


def markers(name: str) -> tuple[str, str]:
    """The lines before and after the figures."""
    return f"<!-- figures of {name}: antiphon evaluate {name} --card -->", f"<!-- end of figures of {name} -->"


def figures(name: str, evaluation: Evaluation, ask: EvaluationRequest, cells: Sequence[Cell]) -> str:
    """The Markdown between the markers: command, seed and version, and the table in a fence."""
    from antiphon import __version__

    limit = f" --limit {ask.limit}" if ask.limit is not None else ""
    seed = f" --seed {ask.seed}" if ask.seed != 1 else ""
    lines = [
        f"`antiphon evaluate {name}{limit}{seed}`, seed {ask.seed}, Antiphon {__version__};",
        f"{road_line(evaluation)}:",
        "",
        FENCE,
        *figure_lines(evaluation, cells),
        FENCE,
    ]
    return "\n" + "\n".join(lines) + "\n"


def road_line(evaluation: Evaluation) -> str:
    """How our systems were measured, as the card and the table say it."""
    return f"ours by {evaluation.road}"


def write(name: str, evaluation: Evaluation, ask: EvaluationRequest, cells: Sequence[Cell]) -> Path:
    """Replaces the figures in the README; returns its path. Raises `UsageError` as `check` does."""
    path = readme(name, evaluation)
    before, _, after = split(path, name)
    begin, end = markers(name)
    write_atomic(path, (before + begin + figures(name, evaluation, ask, cells) + end + after).encode())
    return path
