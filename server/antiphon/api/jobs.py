"""File jobs of `antiphon run` that are not sound in, sound out: notes, MIDI, a library.

`FileUse.job` names the function that is given a `FileJob` and returns what it wrote.
"""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
from antiphon.files.scores.midi_suffixes import is_midi
from antiphon.kernel.runtime.terms import spell, spell_parameter
from antiphon.offline.file_ends import fade_end as fade_out
from antiphon.offline.file_job import FileJob, check_distinct
from antiphon.offline.output_summary import Written

if not TYPE_CHECKING:  # a type checker would find every name
    __getattr__ = _former.refuse(__name__)
