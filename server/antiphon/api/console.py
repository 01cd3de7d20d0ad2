"""The terminal: options of `antiphon serve`, messages, and what there is in place of an unknown name."""

from __future__ import annotations

from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.extras import require as require_modules, sentence as missing_modules
from antiphon.kernel.runtime.settings import ServeOption
from antiphon.kernel.runtime.shortening import is_finite_number, short_repr, shorten
from antiphon.kernel.runtime.suggestion import instead
