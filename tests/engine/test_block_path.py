"""No built-in processor imports anything on the block path: an import there is a dropout the first time it happens."""

import subprocess
import sys

PLAY = """
import sys
import numpy as np
import soundfile
from antiphon.demo import BAND, HUM
from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.graph.graph import IN, OUT, End, Graph, NodeSpec, Wire
from antiphon.native.compiling import compile_all
from antiphon.kernel.graph.compiler import compile_plan
from antiphon.kernel.plugins.finding import BUILT_IN
from antiphon.kernel.plugins.loader import load
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.processor import BlockTime

WORKERS = ("model", "synth")
loaded = load(check=False)
infos = [info for info in loaded.catalog.types.values() if info.plugin in BUILT_IN and info.type not in WORKERS]
spec, plans = StreamSpec(48000, 256, 2), {}
for info in infos:
    wires = tuple(Wire(End(IN, IN), End("n", port.name)) for port in info.inputs if port.kind == "audio")
    plans[info] = compile_plan(Graph((NodeSpec("n", info.type),), wires), loaded.catalog, loaded.make, spec, {"n": 1})
compile_all()
parts = [soundfile.read(path, frames, dtype="float32")[0] for path, frames in ((HUM, 24000), (BAND, 12000))]
sound = np.ascontiguousarray(np.concatenate(parts).T)
for plan in plans.values():
    plan.run(256, BlockTime())


class Nothing:
    def find_spec(self, wanted, path=None, target=None):
        print(f"{playing.type} imports {wanted} while it plays")
        sys.exit(3)


sys.meta_path.insert(0, Nothing())
for playing, plan in plans.items():
    takes_notes = any(port.kind == "events" for port in playing.inputs)
    for at in range(256, sound.shape[1] - 256, 256):
        plan.input[:] = sound[:, at : at + 256]
        if takes_notes and at // 256 % 30 == 0:
            plan.hosts[1].play(Event("on", 0, 60 + at // 7680 % 12, 0.8))
            plan.hosts[1].play(Event("off", 255, 59 + at // 7680 % 12))
        plan.run(256, BlockTime(at, at / 48000 * 2))
    assert not plan.failures, (playing.type, plan.failures)
"""


def test_no_processor_imports_while_it_plays():
    done = subprocess.run([sys.executable, "-c", PLAY], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
