"""Renders processors, notes and live scripts to sound without a server, by the code that plays live."""

from antiphon.kernel.contract.file_use import NOTHING
from antiphon.kernel.contract.harness import prepare as prepare_processor
from antiphon.kernel.contract.parameter_cell import ParamCells
from antiphon.kernel.plugins.checks import check_type_name
from antiphon.kernel.plugins.hook_lists import Registration, registrations
from antiphon.kernel.plugins.loader import Loaded, load as load_plugins
from antiphon.offline.plugin_jobs import (
    TimedNote,
    play_through,
    run_job,
    sound as render_notes,
    sounds as render_parts,
    transcribe,
)
from antiphon.offline.rehearsing import (
    RATE as REHEARSED_RATE,
    perform_change,
    preload as warm_patch,
    prepared as prepared_to_rehearse,
    rehearse_change,
)
from antiphon.offline.rendering import patch_runner
