"""Computation in a worker process, hop by hop: requests, their stepper, and the fallback for late answers.

`antiphon.api.backends.models` builds on this for torch models.
"""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
import antiphon.kernel.runtime.importing as _importing

if TYPE_CHECKING:
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

__getattr__, __dir__ = _importing.import_late(__name__, _former.refuse(__name__))
