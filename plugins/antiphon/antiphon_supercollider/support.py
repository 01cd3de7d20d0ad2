"""Support of the backend `supercollider` outside its worker; imports are local."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

from antiphon.api.backends.runtime import Finding
from antiphon.api.backends.synths import BackendChoice, OfflinePasses, SynthSettings, SynthSupport
from antiphon_supercollider.info import delay, scsynth_address


class SuperColliderSupport(SynthSupport):
    """Support of scsynth, started by Antiphon or external."""

    def delay(self, rate: int, hop: int) -> int:
        """Delay of scsynth, as `info.delay`."""
        return delay(rate, hop)

    def check_settings(self, settings: SynthSettings, *, instead: bool) -> SynthSettings:
        """Returns checked settings. Raises `ParamError` or `FileError`: scsynth cannot play them."""
        from antiphon_supercollider.voices.material import check

        check(settings)
        return settings

    def controls(self, settings: SynthSettings) -> Iterable[str]:
        """Names of the SynthDef's controls that the server does not set itself."""
        from antiphon_supercollider.voices.material import own_controls

        return own_controls(settings)

    def check_option(self, value: str) -> None:
        """Raises `UsageError` if the address is not a valid one of a scsynth on this machine."""
        scsynth_address(value)

    def with_option(self, choice: BackendChoice, value: str, rate: int) -> BackendChoice:
        """Returns the backend choice with an external scsynth. Raises `EngineError`: it does not answer."""
        from antiphon_supercollider.scsynth.external_scsynth import ask_scsynth

        ask_scsynth(scsynth_address(value), rate)
        info = replace(choice.info, backend="antiphon_supercollider.external_client:join_scsynth")
        return replace(choice, info=info, settings=(("scsynth", value),))

    def clear(self, since: float) -> None:
        """Removes the processes and files of killed workers."""
        from antiphon_supercollider.scsynth import server

        server.sweep(server.ENDING_SECONDS, since)

    def passes(self, live: int) -> AbstractContextManager[OfflinePasses]:
        """Passes in which `scsynth -N` renders all notes offline."""
        from antiphon_supercollider.offline import turns

        return turns(live=live)

    def findings(self) -> Iterator[Finding]:
        """Checks that scsynth and jackd are installed."""
        missing = [name for name in ("scsynth", "jackd") if shutil.which(name) is None]
        if not missing:
            text = (
                "--synth supercollider plays notes by it, over JACK; with PortAudio alone Antiphon starts a JACK "
                "server for it: two clocks; --scsynth 127.0.0.1:57110 joins one that runs"
            )
            yield Finding("scsynth", "works", text)
        else:
            text = f"{missing[0]} is not installed; --synth supercollider needs it"
            yield Finding("scsynth", "missing", text, "sudo apt-get install supercollider-server jackd2")


class ScoreSupport(SuperColliderSupport):
    """Support for scsynth offline: its sound is rendered beforehand."""

    def delay(self, rate: int, hop: int) -> int:
        """Returns a latency of 0."""
        return 0
