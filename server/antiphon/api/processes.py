"""Processes that help a plugin: asked over a pipe, bounded in time and answers, ended with their parent."""

from __future__ import annotations

from antiphon.kernel.runtime.child_process import TERM_SECONDS, end_with_parent
from antiphon.kernel.runtime.helper_channel import HelperChannel, limit_resources
from antiphon.kernel.runtime.helper_process import (
    HELPER_FAULTS,
    ForkedEnd,
    HelperProcess,
    HelperTask,
    command as module_command,
    end_session,
    environment as helper_environment,
    run_forked,
    start_command,
    start_helper,
)
from antiphon.kernel.runtime.scheduling import give_way
