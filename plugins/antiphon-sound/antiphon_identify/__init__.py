"""Recognition of catalogued recordings: landmarks for the catalogue, and a node that reports the sounding one."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `identify`."""
    register(
        "identify",
        "antiphon_identify.processor:Identify",
        "Identifies which catalogued recording is playing (audio fingerprints).",
    )


@hookimpl
def antiphon_analyses(register: Register) -> None:
    """Registers `fingerprint`."""
    register("fingerprint", "antiphon_identify.worker:Fingerprint", "Landmarks by which a recording is recognised.")
