"""Computation in a worker process, hop by hop: requests, their stepper, and the fallback for late answers.

`antiphon.api.backends.models` builds on this for torch models.
"""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
from antiphon.kernel.runtime.platform import start_time as process_start
from antiphon.kernel.workers.spec import Stepper, WorkerSpec
from antiphon.networks.lockstep import current as current_pool
from antiphon.networks.rebuffer import DropoutFader, Rebuffer, lead_for
from antiphon.networks.worker_processor import (
    RecentSound,
    ReportingStepper,
    WorkerClient,
    WorkerProcessor,
    WorkerReporter,
    convert_channels,
)

if not TYPE_CHECKING:  # a type checker would find every name
    __getattr__ = _former.refuse(__name__)
