"""The node `plugin`: hosts third-party LV2, CLAP and VST3 effects and instruments, each in its own worker.

Their code is loaded only in workers and in the processes that describe them.
"""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `plugin`."""
    register(
        "plugin",
        "antiphon_host.processor:Plugin",
        "Plays an LV2, CLAP or VST3 effect or instrument of this machine in a process of its own.",
    )


@hookimpl
def antiphon_services(register: Register) -> None:
    """Registers `scan`."""
    register("scan", "antiphon_host.catalogue:scan", "Lists the plugins of others on this machine.")
