"""Notes to sound without a server, through the code that plays live; and the plugins that are needed for it."""

from __future__ import annotations

from antiphon.kernel.plugins.loader import Loaded, load as load_plugins
from antiphon.offline.note_rendering import TimedNote, sound as render_notes, sounds as render_parts
from antiphon.offline.plugin_jobs import play_through, run_job, transcribe
