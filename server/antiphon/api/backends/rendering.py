"""Renders processors, notes and live scripts to sound without a server, by the code that plays live."""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
import antiphon.kernel.runtime.importing as _importing

if TYPE_CHECKING:
    from antiphon.kernel.contract.harness import prepare as prepare_processor
    from antiphon.kernel.contract.parameter_cell import ParamCells
    from antiphon.kernel.plugins.hook_lists import registrations
    from antiphon.kernel.plugins.loader import Loaded, load as load_plugins
    from antiphon.offline.player import patch_player as patch_runner
    from antiphon.offline.plugin_jobs import TimedNote, run_job, sound as render_notes, transcribe

__getattr__, __dir__ = _importing.import_late(__name__, _former.refuse(__name__))
