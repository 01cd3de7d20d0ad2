"""What is performed, rendered by its beats, has the samples of the script's own render."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.performer.test_player import Stage

from antiphon.contract.block import StreamSpec
from antiphon.graph.patch import load
from antiphon.live.performance import Performance
from antiphon.live.reading import read
from antiphon.offline.rendering import param_finder
from antiphon.offline.script_run import commands
from antiphon.performer.branch import Processes
from antiphon.plugins import loader
from antiphon.session.notes import Players
