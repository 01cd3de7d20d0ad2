"""Third-party effects and instruments, LV2, CLAP and VST3, each in its own worker: the node `plugin`.

Their code is loaded in workers and in processes that describe them, nowhere else.
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
