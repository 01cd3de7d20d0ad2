"""Work in a process of its own, hop by hop: what a processor posts, what the worker computes, what is played meanwhile.

For a torch model there is `antiphon.api.models`, which is built on this.
"""

from __future__ import annotations

from antiphon.contract.channels import convert_channels
from antiphon.contract.processor import ProcessorPart
from antiphon.runtime.pidfile import start_time as process_start
from antiphon.runtime.scheduling import short_slices
from antiphon.workers.dropout_fader import DropoutFader
from antiphon.workers.dropout_log import DropoutLog
from antiphon.workers.pool import current as current_pool
from antiphon.workers.processor import WorkerProcessor
from antiphon.workers.rebuffer import Rebuffer, lead_for
from antiphon.workers.reporter import WorkerReporter
from antiphon.workers.reporting import RecentSound, ReportedStream, ReportingStepper
from antiphon.workers.spec import Stepper, WorkerSpec
from antiphon.workers.stream import Stream
from antiphon.workers.worker_client import WorkerClient
