"""What `antiphon train` runs: a recipe for the weights of a model. Imports torch."""

from __future__ import annotations

from antiphon.learning.recipe import Batch, Recipe, TrainingJob

__all__ = ["Batch", "Recipe", "TrainingJob"]
