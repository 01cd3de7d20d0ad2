"""`hum`: sound to notes."""

from antiphon.hookspecs import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `hum`."""
    register("hum", "antiphon_hum.processor:Hum", "Turns a voice or a wind instrument into notes.")
