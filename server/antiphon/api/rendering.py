"""Notes to sound without a server, through the code that plays live; and the plugins that are needed for it."""

from __future__ import annotations

from antiphon.offline.note_rendering import TimedNote
from antiphon.offline.note_rendering import sound as render_notes
from antiphon.offline.note_rendering import sounds as render_parts
from antiphon.plugins.loader import Loaded
from antiphon.plugins.loader import load as load_plugins

__all__ = ["Loaded", "TimedNote", "load_plugins", "render_notes", "render_parts"]
