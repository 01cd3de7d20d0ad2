"""docs/kernel.md: the numbers on the page are those in the code."""

import re
from pathlib import Path

import pytest

from antiphon.kernel.engine.plans import admission, loader
from antiphon.kernel.runtime.platform import PORTABLE
from antiphon.kernel.supervisor import watchdog
from antiphon.kernel.workers import arena, low_latency_events, worker, zygote
from antiphon.kernel.workers.spec import MAX_SLOTS, WorkerSpec
from antiphon.networks import lockstep, rebuffer
from antiphon.networks.info import ModelInfo
from antiphon.networks.rebuffer import Rebuffer, lead_for
from antiphon_pyo.info import PYO
from antiphon_supercollider import backend

PAGE = (Path(__file__).parents[2] / "docs" / "kernel.md").read_text()
SAID = " ".join(PAGE.split())
ROW = re.compile(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) ms \| ([\d.]+) ms \|$", re.MULTILINE)


def blocks_for_an_answer(hop: int, block: int, lead: int) -> int:
    """The least from the block that completes a hop to the one in which its answer is played."""
    return min((k + 1 + lead) * hop // block - ((k + 1) * hop - 1) // block for k in range(2 * block))


def test_the_latency_table_is_what_the_code_gives() -> None:
    rows = ROW.findall(PAGE)
    assert len(rows) >= 7
    for said in rows:
        hop, block, lead = (int(number) for number in said[:3])
        assert lead == lead_for(hop, block)
        latency = Rebuffer(hop, lead, 1, 1, lambda _hop, _sound: None, lambda _hop, _out: None).latency
        answer = blocks_for_an_answer(hop, block, lead) * block
        assert said[3:] == (str(latency), f"{latency / 48:.2f}", f"{answer / 48:.2f}"), (hop, block)


MODEL = ModelInfo("m", "m:M", "m", "m").worker("cpu")
SYNTH = PYO.worker(48000, 256)


@pytest.mark.skipif(PORTABLE, reason="the page has the numbers of Linux's way")
def test_each_number_is_the_codes() -> None:
    for words in [
        f"a table of {arena.MAX_WORKERS} workers, each with up to {MAX_SLOTS} slots",
        f"({arena.DATA_BYTES >> 20} MB for all of a worker's rings)",
        f"measures {worker.MEASURED} hops with every slot at work",
        f"waits up to {loader.WORKER_TIMEOUT:g} s for new workers, after an engine's death "
        f"{loader.RESTART_TIMEOUT * 1000:g} ms",
        f"by a ring of {arena.DIRECT} in the arena",
        f"not confirmed within {backend.TIMEOUT_SECONDS:g} s of the engine's time",
        f"and so does what follows for {low_latency_events.BACK_NS // 10**9} s",
        f"the last {rebuffer.FADE * 1000:g} ms, backwards",
        f"({MODEL.depth} hops of a model, more where the lead needs them; {SYNTH.depth} of a synth)",
        f"The zygote looks every {zygote.LOOK_MS} ms",
        f"none has been done for {zygote.HANG // 1_000_000} ms",
        f"({MODEL.memory} MB a CPU model, {SYNTH.memory} MB a synth, over what it inherited)",
        f"not ready {zygote.START_SECONDS:g} s after its start",
        f"no node has wanted it for {zygote.IDLE_SECONDS:g} s",
        f"its third failure within {zygote.WITHIN:g} s",
        f"does not get ready in {lockstep.START_SECONDS:g} s or gives no answer for {lockstep.HANG_NS // 10**9} s",
        f"{admission.TRIAL_BLOCKS} blocks or {admission.TRIAL_SECONDS:g} s each",
        f"a lot that takes over {admission.TRIAL_LIMIT:g} s",
        f"in `prepare` or `close`, for {watchdog.LOAD_SECONDS:g} s, or does not turn for {watchdog.LOAD_SECONDS:g} s",
        f"| above {admission.FULL:.0%}".replace("%", " %"),
        f"| above {admission.CLOSE:.0%}".replace("%", " %"),
    ]:
        assert words in SAID


def test_the_third_is_the_one_that_quarantines() -> None:
    assert zygote.QUARANTINE == 3
    assert WorkerSpec("w", "m:f").depth == MODEL.depth
