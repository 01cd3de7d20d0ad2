"""The web process's end of the memory of taps: what a listener has not heard yet."""

from antiphon.kernel.io.tap_memory import TapMemory, TapWord


class TapReader:
    """Reads one tap's ring from now on. `missed`: blocks that were overwritten before they were read."""

    def __init__(self, memory: TapMemory, tap: int) -> None:
        """Starts at the block after the current one, which may hold another node's sound."""
        self._memory, self._at = memory, tap * memory.shape.slots
        self._next = memory.words[TapWord.WRITE] + 1
        self.missed = 0

    def read(self, most: int) -> tuple[int, int, bytes]:
        """At most `most` blocks since the last call: first number, count, float32 samples channel after channel."""
        memory, shape = self._memory, self._memory.shape
        end = memory.words[TapWord.WRITE]
        if end - self._next > shape.slots:
            self.missed += end - shape.slots - self._next
            self._next = end - shape.slots
        first = self._next
        pieces: list[bytes] = []
        while self._next < end and len(pieces) < most:
            piece = self._slot(self._at + self._next % shape.slots, self._next + 1)
            self._next += 1
            if piece is not None:
                pieces.append(piece)
            elif pieces:
                break
            else:
                first = self._next
        return first, len(pieces), b"".join(pieces)

    def _slot(self, slot: int, tag: int) -> bytes | None:
        """A slot's samples; None where it holds another block: an old one while the node is not in the plan."""
        memory, size = self._memory, self._memory.shape.slot_bytes
        if memory.tags[slot] == tag:
            piece = bytes(memory.sound[slot * size : (slot + 1) * size])
            if memory.tags[slot] == tag:
                return piece
            self.missed += 1
        else:
            self.missed += memory.tags[slot] > tag
        return None
