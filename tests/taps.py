"""The engine's end of the memory that listeners read."""

import numpy as np

from antiphon.kernel.engine.loop_words import LoopWord, LoopWords
from antiphon.kernel.engine.native.blocks import keep_for_listeners
from antiphon.kernel.engine.taps import NodeTaps
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.io.tap_memory import TapMemory
from antiphon.native.compiling import compile_all


class Taps:
    """Keeps blocks as the engine's loop does."""

    def __init__(self, memory: TapMemory) -> None:
        compile_all()
        self.taps, self.words = NodeTaps(memory), LoopWords()
        for word, value in {**self.taps.tables, LoopWord.BLOCK: memory.shape.block}.items():
            self.words.whole[word] = value

    def put(self, block: int, x: np.ndarray, out: np.ndarray, plan: Plan | None) -> None:
        for tap, number in enumerate(self.taps.selected_nodes()):
            sound = self.taps.sound(number, x, out, plan, None)
            layout = (0, 0, 0) if sound is None else (sound.ctypes.data, sound.strides[0] // 4, len(sound))
            self.words.whole[LoopWord.WANTED + tap] = number
            for n, value in enumerate(layout):
                self.words.whole[LoopWord.SOUNDS + 3 * tap + n] = value
        keep_for_listeners.call(self.words.address, block)
