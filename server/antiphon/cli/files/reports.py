"""Output of file commands: a line for each written file, complaints, progress."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from antiphon.cli.errors import complain
from antiphon.cli.progress import ProgressBar, ask, tell_stage
from antiphon.kernel.runtime.terms import spell
from antiphon.operations.requests import Reporting

if TYPE_CHECKING:
    from antiphon.offline.output_summary import Written


def report(*written: Written, err: bool = False) -> None:
    """Prints a line on standard output per file, after over-full-scale warnings on standard error; `err`: all there."""
    for each in written:
        if each.over:
            complain(f"{each.over}; {spell('limit')} keeps them below it")
        print(str(each), file=sys.stderr if err else sys.stdout, flush=True)


TERMINAL = Reporting(complain, report, ProgressBar, ask, tell_stage)
"""For a person at a terminal."""
PIPED = Reporting(complain, partial(report, err=True), ProgressBar, ask, tell_stage)
"""For a person at a terminal, while standard output carries a sound."""
