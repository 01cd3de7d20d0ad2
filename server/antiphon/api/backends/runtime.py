"""A plugin's process and its terminal: messages, options of `antiphon serve`, missing packages, child processes.

A child process is asked by messages, with limits of time and of answers, and ends with its parent.
"""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
from antiphon.cli.ports import HttpBesideOsc, Osc as OscPort
from antiphon.jobs.process import run_program
from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.extras import (
    require as require_modules,
    sentence as missing_modules,
)
from antiphon.kernel.runtime.platform import hear, limit_resources, make_bell, ring
from antiphon.kernel.runtime.processes.children import CHILD_FAULTS, Child, ChildLane, ChildLimits, spawn
from antiphon.kernel.runtime.processes.forked import ForkedEnd, run_forked
from antiphon.kernel.runtime.processes.helper_channel import HelperChannel
from antiphon.kernel.runtime.settings import ServeOption
from antiphon.kernel.runtime.shortening import composed, short_repr, shorten
from antiphon.kernel.runtime.suggestion import instead
from antiphon.operations.shared import ASKER, OscForm, Request

if not TYPE_CHECKING:  # a type checker would find every name
    __getattr__ = _former.refuse(__name__)
