"""The terminal: options of `antiphon serve`, messages, and what there is in place of an unknown name."""

from __future__ import annotations

from antiphon.contract.finding import Finding
from antiphon.runtime.console import say
from antiphon.runtime.serve_option import ServeOption
from antiphon.runtime.suggestion import instead
