"""Follow: the player's beat, and the clock that keeps it.

Imports `antiphon.api` only.
"""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `follow`."""
    register("follow", "antiphon_follow.processor:Follow", "The player's beat: tempo, bar and a clock that follows.")
