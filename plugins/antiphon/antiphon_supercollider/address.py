"""Address of an external scsynth."""

from antiphon.api import UsageError


def scsynth_address(text: str) -> tuple[str, int]:
    """("127.0.0.1", port) of "127.0.0.1:PORT": a malformed message ends scsynth, so only loopback is accepted."""
    host, _, port = text.rpartition(":")
    if host not in ("127.0.0.1", "localhost") or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"--scsynth takes 127.0.0.1:PORT, a scsynth on this machine, not {text!r}")
    return "127.0.0.1", int(port)
