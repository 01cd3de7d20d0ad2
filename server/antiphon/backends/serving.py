"""The synth backend by which a server's nodes play notes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from antiphon.backends.info import (
    NULL,
    NULL_LOG_FILE,
    PREFIX,
    BackendChoice,
    SynthInfo,
    apply_backend_option,
    choose,
    chosen_backend,
    requested_backend,
    silence,
    use,
)
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.supervisor.companions import NoteBackend, Registrations
from antiphon.kernel.workers.arena import Arena, State, WorkerWord
from antiphon.kernel.workers.spec import WorkerSpec


class ServedSynth(NoteBackend):
    """The backend of `serve --synth`: one of the plugins', or the silent one."""

    def __init__(self) -> None:
        self._info: SynthInfo | None = None  # the one that was named or chosen at the start

    def request(self, settings: ServeSettings) -> tuple[str, bool]:
        self._info = info = requested_backend(settings)
        if info is None or not info.jack:
            return "", False
        return info.program or info.name, info.is_option_given(settings)

    def choose(self, settings: ServeSettings, registered: Registrations, folder: Path) -> None:
        choice = apply_backend_option(settings, BackendChoice(choose(settings.synth, registered)))
        if choice.info.name == NULL.name:
            log = folder / NULL_LOG_FILE
            log.unlink(missing_ok=True)
            choice = replace(choice, settings=(("path", str(log)),))
        self._info = choice.info
        use(choice)

    @property
    def choice(self) -> BackendChoice:
        return chosen_backend()

    def use(self, choice: BackendChoice) -> None:
        use(choice)

    def zygote(self) -> tuple[str, str]:
        info = chosen_backend().info
        return info.zygote, info.imports

    def worker(self, rate: int, block: int) -> WorkerSpec:
        choice = chosen_backend()
        return choice.info.worker(rate, block, dict(choice.settings))

    def replace_failed(self, arena: Arena, registered: Registrations, say: Callable[[str], None]) -> bool:
        info = chosen_backend().info
        if not info.fallback:
            return False
        name = PREFIX + info.name
        for entry in arena.entries:
            given_up = entry.words[WorkerWord.STATE] in (State.QUARANTINED, State.REFUSED)
            if entry.words[WorkerWord.WANTED] and given_up and entry.kind and entry.spec().name == name:
                other = choose("auto", registered)
                consequence = f"{other.name} plays notes from here on, and a piano for instruments it has not"
                if other.name == NULL.name:
                    consequence = "notes make no sound from here on"
                say(f"{info.program or info.name} is given up ({entry.reason}); {consequence}")
                use(BackendChoice(other, instead=True))
                return True
        return False

    def silence(self, settings: ServeSettings, registered: Registrations) -> str:
        return silence(registered) if self._info == NULL and settings.synth == "auto" else ""

    def clear(self, since: float) -> None:
        if self._info is not None:
            self._info.make_support().clear(since)
