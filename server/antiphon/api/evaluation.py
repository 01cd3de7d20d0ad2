"""What `antiphon evaluate` runs: systems, measures, and figures of each system on each item."""

from __future__ import annotations

from antiphon.learning.evaluation import (
    Cell,
    Evaluation,
    EvaluationRequest,
    Example,
    Measure,
    MetricValue,
    System,
)
from antiphon.learning.evaluation import cells as mean_cells
from antiphon.learning.evaluation import table as table_lines
from antiphon.learning.needs import INSTALL as INSTALL_HINT
from antiphon.learning.needs import folders as require_folders

__all__ = [
    "INSTALL_HINT",
    "Cell",
    "Evaluation",
    "EvaluationRequest",
    "Example",
    "Measure",
    "MetricValue",
    "System",
    "mean_cells",
    "require_folders",
    "table_lines",
]
