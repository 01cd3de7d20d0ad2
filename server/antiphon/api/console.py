"""The terminal: options of `antiphon serve`, messages, and what there is in place of an unknown name."""

from __future__ import annotations

from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.settings import ServeOption
from antiphon.kernel.runtime.suggestion import instead
