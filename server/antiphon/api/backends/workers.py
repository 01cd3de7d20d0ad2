"""Computation in a worker process, hop by hop: requests, their stepper, and the fallback for late answers.

`antiphon.api.backends.models` builds on this for torch models.
"""

from antiphon.kernel.runtime.platform import process_at, short_slices, start_time as process_start
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
