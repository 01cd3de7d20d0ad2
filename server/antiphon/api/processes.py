"""Processes that help a plugin: asked over a pipe, bounded in time and answers, ended with their parent."""

from __future__ import annotations

from antiphon.kernel.runtime.helper_channel import HelperChannel, limit_resources
from antiphon.kernel.runtime.helper_process import HELPER_FAULTS, ForkedEnd, HelperProcess, run_forked, start_helper
