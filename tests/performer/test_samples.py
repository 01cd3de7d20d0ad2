"""What is performed, rendered by its beats, has the samples of the script's own render."""

from fractions import Fraction as F

import numpy as np
from numpy.typing import NDArray
from tests.performer.rig import IMPORTS, PlayerRig

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.graph.patch import load
from antiphon.kernel.plugins import loader
from antiphon.kernel.session.notes import Players
from antiphon.live.performance import Performance
from antiphon.live.reading import read
from antiphon.live.records import LiveEvent
from antiphon.offline.commands import param_finder
from antiphon.offline.player import FilePlayer
from antiphon.offline.script_run import commands

RATE, BLOCK, SECONDS, BEATS = 48000, 256, 7, 14
TEXT = """\
tempo(173)
for place in range(4):
    @loop(name=f"l{place}", on="click")
    def body():
        yield pick([1 / 3, 1 / 4, 1 / 5])
        node("click").fire = 1
        yield between(0.1, 0.4)
"""


def rendered(events: list[LiveEvent]) -> NDArray[np.float32]:
    loaded = loader.load(check=False)
    patch = load("click", loaded.catalog)
    find, players = param_finder(patch.graph, loaded.catalog), Players(patch.graph, loaded.catalog)
    played = commands(events, "set.py", find, players)
    spec = StreamSpec(RATE, BLOCK, 2)
    player = FilePlayer(patch.graph, loaded.catalog, loaded.make, spec, 120.0, played)
    return player.sound(frames=SECONDS * RATE // BLOCK * BLOCK)


def test_the_samples_are_those_of_a_render_whatever_is_saved_meanwhile(stage: PlayerRig) -> None:
    zero = stage.first(TEXT)
    stage.play(zero + 2.0)
    for more in ("# the same\n", "1 / 0\n", "while True: pass\n", "# again\n"):
        said = len(stage.said)
        stage.save(TEXT + more)
        stage.until_true(lambda said=said: len(stage.said) > said, "what comes of it")  # type: ignore[misc]
        stage.play(2.5)
    performed = [LiveEvent(F(e.beat), e.address, e.args, line=e.line) for e in stage.sent if e.beat < zero + BEATS - 4]
    alone = Performance(read("/sets/set.py", IMPORTS + TEXT)).until(F(BEATS - 4))
    live, offline = rendered(performed), rendered(alone)
    begin = int(np.flatnonzero(live[0])[0] - np.flatnonzero(offline[0])[0])
    assert begin == zero * 60 * RATE / 120  # the patch's tempo, before the script sets its own
    assert np.count_nonzero(offline[0]) > 50
    np.testing.assert_array_equal(live[:, begin:], offline[:, : live.shape[1] - begin])
