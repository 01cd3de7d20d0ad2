"""`model`: the node whose sound goes through the reference model."""

from __future__ import annotations

from typing import ClassVar

from antiphon.api.models import ModelProcessor
from antiphon_model.spec import REFERENCE


class Model(ModelProcessor):
    """Sends its sound through a model in a process of its own, which passes it unchanged."""

    model = REFERENCE
    rate: ClassVar[int | None] = REFERENCE.rate
