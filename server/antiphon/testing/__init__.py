"""What tests of a plugin need: sounds made and measured, a host for one processor, its laws, a server of one's own.

    from antiphon.testing import check_laws, noise, run_processor

    def test_louder_any_blocks_same_samples():
        check_laws(Louder, {"by": 6.0})

| name | what it is |
|---|---|
| `sine`, `sung`, `noise`, `clicks` | float32 `[channels, frames]` to play |
| `level`, `loudest`, `peak`, `centroid`, `onsets`, `attacks` | measurements of such sound |
| `read`, `write` | sound files by soundfile alone |
| `run_processor`, `render` | a host for one processor, stricter than the server |
| `check_laws`, `broken_law` | the same samples, events and reports in any blocks, and after a reset |
| `use_pool`, `without_workers` | the workers of processors that run models |
| `server` | a server on free ports, with folders of its own |

`pip install 'antiphon[testing]'` installs pytest and soundfile with it.
"""

from antiphon.kernel.contract.harness import render, run_processor
from antiphon.kernel.workers.devices import without_workers
from antiphon.kernel.workers.pool import use as use_pool
from antiphon.testing.laws import broken_law, check_laws
from antiphon.testing.serving import server
from antiphon.testing.sound import (
    attacks,
    centroid,
    clicks,
    level,
    loudest,
    noise,
    onsets,
    peak,
    read,
    sine,
    sung,
    write,
)

__all__ = [
    "attacks", "broken_law", "centroid", "check_laws", "clicks", "level", "loudest", "noise", "onsets", "peak", "read",
    "render", "run_processor", "server", "sine", "sung", "use_pool", "without_workers", "write",
]  # fmt: skip
