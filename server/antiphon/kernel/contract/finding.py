"""Result of one machine check, for `antiphon doctor`."""

from dataclasses import dataclass
from typing import Literal

Condition = Literal["works", "limited", "missing", "broken"]
"""works; limited: works with a limit; missing: not installed, and optional; broken: Antiphon cannot run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check of the machine, as `antiphon doctor` prints it.

    Attributes:
        subject: What was checked, in a few words: "scsynth".
        state: "works"; "limited": works with a limit; "missing": not installed, and optional; "broken": Antiphon
            cannot run.
        text: The result, as a sentence without its subject and its full stop.
        mend: The command or the step that corrects it; "" where none is needed.
    """

    subject: str
    state: Condition
    text: str
    mend: str = ""
