"""`models/RESULTS.md`: scores of each evaluation, replaced by `antiphon evaluate NAME --card`."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from antiphon.api import UsageError
from antiphon.api.backends.files import write_atomic
from antiphon_models.learning.evaluation import Cell, Evaluation, EvaluationRequest, figure_lines

PATH = Path(__file__).parents[2] / "RESULTS.md"
HEAD = "# Results\n\nWritten by `antiphon evaluate NAME --card`: not to be edited by hand.\n"
FENCE = "```"


def check(ask: EvaluationRequest, path: Path = PATH) -> None:
    """Checks, before measuring, that this request's scores can go into the page.

    Raises `UsageError`: there is no page that can be written, or the request measures something other than all systems
    on the evaluation's own items.
    """
    if ask.files or ask.systems or ask.synthetic:
        what = "files of yours" if ask.files else "some systems" if ask.systems else f"items without {ask.data}"
        raise UsageError(f"{path.name} has all systems on the evaluation's own items, and this measures {what}")
    if not os.access(path, os.W_OK):
        raise UsageError(f"{path} cannot be written to; --card is for a checkout of Antiphon")


def sections(path: Path = PATH) -> dict[str, str]:
    """Text of each section by the evaluation's name, without its heading."""
    _, *rest = re.split(r"^## ([\w-]+)\n", path.read_text(), flags=re.MULTILINE)
    return {name: text.strip("\n") for name, text in zip(rest[::2], rest[1::2], strict=True)}


def figures(name: str, evaluation: Evaluation, ask: EvaluationRequest, cells: Sequence[Cell]) -> str:
    """Text of a section: command, seed and version, method, and the table in a fence."""
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
    return "\n".join(lines)


def road_line(evaluation: Evaluation) -> str:
    """Line about the measurement method of our systems, for page and table."""
    return f"ours by {evaluation.road}"


def write(name: str, evaluation: Evaluation, ask: EvaluationRequest, cells: Sequence[Cell], path: Path = PATH) -> Path:
    """Replaces the section of an evaluation, or adds it; returns the page's path."""
    found = {**sections(path), name: figures(name, evaluation, ask, cells)}
    text = [HEAD, *(f"\n## {each}\n\n{found[each]}\n" for each in sorted(found))]
    write_atomic(path, "".join(text).encode())
    return path
