"""A plugin's process and its terminal: messages, options of `antiphon serve`, missing packages, child processes.

A child process is asked by messages, with limits of time and of answers, and ends with its parent.
"""

from antiphon.cli.ports import Host, HttpBesideOsc, Osc as OscPort
from antiphon.jobs.process import run_program
from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.extras import (
    FRAMEWORKS as FRAMEWORK_MODULES,
    missing as lacking_modules,
    of_error as missing_by_error,
    require as require_modules,
    sentence as missing_modules,
)
from antiphon.kernel.runtime.paths import runtime as runtime_folder
from antiphon.kernel.runtime.platform import (
    MONOTONIC,
    c_function,
    cores,
    end_before_exec,
    end_with_parent,
    hear,
    limit_resources,
    make_bell,
    ring,
    start_time,
)
from antiphon.kernel.runtime.processes.child_process import exit_cause
from antiphon.kernel.runtime.processes.children import (
    CHILD_FAULTS,
    ONE_THREAD,
    Child,
    ChildLane,
    ChildLimits,
    spawn,
)
from antiphon.kernel.runtime.processes.forked import ForkedEnd, run_forked
from antiphon.kernel.runtime.processes.helper_channel import HelperChannel
from antiphon.kernel.runtime.settings import ServeOption
from antiphon.kernel.runtime.shortening import composed, short_repr, shorten
from antiphon.kernel.runtime.suggestion import instead, suggest
from antiphon.offline.priority import lower_priority
from antiphon.operations.shared import ASKER, OscForm, Request
