"""The terminal: options of `antiphon serve`, messages, and what there is in place of an unknown name."""

from __future__ import annotations

from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.serve_option import ServeOption
from antiphon.kernel.runtime.suggestion import instead
