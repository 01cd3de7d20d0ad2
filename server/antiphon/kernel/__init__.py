"""The kernel: OSC in, sound out, alone as `python -m antiphon.kernel`. docs/kernel.md walks through it."""

from pathlib import Path

from antiphon.native import host


def _cache_folder() -> Path:
    from antiphon.kernel.runtime import paths

    return paths.cache() / "kernels"


def _error_without(kernel: str, module: str) -> Exception:
    from antiphon.kernel.errors import EngineError
    from antiphon.kernel.runtime import extras

    return EngineError(extras.sentence(f"the kernel {kernel}", module))


host.cache_folder, host.error_without = _cache_folder, _error_without
