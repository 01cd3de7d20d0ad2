"""`antiphon pipeline watch`: watches a folder and, if configured, a broker, until a signal ends it."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from antiphon.api import FileError, UsageError
from antiphon.api.backends.analysis import named_analyses
from antiphon_models.pipeline.journal import ResultJournal
from antiphon_models.pipeline.settings import WatchSettings
from antiphon_models.pipeline.stream import SoundStream, StreamCounts, run
from antiphon_models.pipeline.stream_mqtt import MqttSource, broker_of


def watch(
    settings: WatchSettings,
    journal: Path,
    echo: Callable[[str], None],
    counts: StreamCounts | None = None,
    ready: Callable[[], None] = lambda: None,
) -> dict[str, int]:
    """Analyses arriving sounds until SIGINT or SIGTERM; returns the counts.

    `echo` is called with each line; `counts` are for those who look meanwhile; `ready` is called once what is set has
    been found usable.

    Raises `FileError`: the folder is not there, or the journal cannot be written. `UsageError`: the broker's address
    cannot be. `PluginError`: there is no analysis of a name.
    """
    if not settings.path.is_dir():
        raise FileError(f"there is no folder {settings.path}: watch.path names the one that sounds arrive in")
    names = named_analyses(settings.analyses)
    if not names:
        raise UsageError("no plugin registers an analysis; `antiphon plugins` lists those that there are, and why not")
    counted = counts if counts is not None else StreamCounts()
    with ResultJournal(journal, echo) as written:
        stream = SoundStream(settings, names, written, counted)
        sources = [MqttSource(broker_of(settings.mqtt), settings, journal.parent)] if settings.mqtt else []
        ready()
        asyncio.run(run(stream, sources))
    return asdict(counted)
