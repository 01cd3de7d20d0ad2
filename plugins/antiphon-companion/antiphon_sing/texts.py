"""Frames of texts, computed by a process beside the server and shared by nodes with equal texts."""

import threading
from collections import OrderedDict

import numpy as np

from antiphon.api.backends.runtime import CHILD_FAULTS, Child, ChildLimits, say, spawn
from antiphon_sing.song import Place, SungText, VoiceError

MAX_BYTES = 1 << 30
LIMITS = ChildLimits(nice=5, address=3 << 30)
"""Limits of the process."""
TIMEOUT_SECONDS = 60.0
"""Timeout in seconds of the process."""
CACHE_SIZE = 8
"""Number of cached songs that no node references."""
Key = tuple[str, str, int]
"""Text, voice, rate."""


class Texts:
    """Creates and caches sung texts, off the block path."""

    def __init__(self) -> None:
        self._songs: OrderedDict[Key, SungText | str] = OrderedDict()
        self._process: Child | None = None
        self._lock = threading.Lock()

    def get(self, key: Key) -> SungText | str | None:
        """Sung text, or the reason why it failed; None if it is not ready. May be called on the block path."""
        return self._songs.get(key)

    def begin(self, key: Key, seconds: float) -> SungText | None:
        """Computes a song in the background, and waits for at most `seconds`. Raises VoiceError: it cannot be sung."""
        if key not in self._songs:
            thread = threading.Thread(target=self._try, args=(key,), name="sing", daemon=True)
            thread.start()
            thread.join(seconds)
        return self.make(key) if key in self._songs else None

    def _try(self, key: Key) -> None:
        try:
            self.make(key)
        except VoiceError as error:
            say(f"sing: {error}")

    def make(self, key: Key) -> SungText:
        """Computes a song, unless it is cached. Raises VoiceError: it cannot be sung."""
        with self._lock:
            found = self._songs.get(key)
            if found is None:
                try:
                    found = self._made(key)
                except VoiceError as error:
                    found = str(error)
                self._songs[key] = found
                while len(self._songs) > CACHE_SIZE:
                    self._songs.popitem(last=False)
        if isinstance(found, str):
            raise VoiceError(found)
        return found

    def close(self) -> None:
        """Ends the process; `make` starts another if needed."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _made(self, key: Key) -> SungText:
        text, voice, rate = key
        try:
            if self._process is None or self._process.ended:
                # not bound: it is started by one thread and asked by others, and ends where its lane closes
                self._process = spawn("antiphon_sing.child:main", limits=LIMITS, bound=False)
            answer, data = self._process.ask({"text": text, "voice": voice, "rate": rate}, MAX_BYTES, TIMEOUT_SECONDS)
            if "problem" in answer:
                raise VoiceError(str(answer["problem"]))
            shape = tuple(int(n) for n in answer["frames"])
            numbers = np.frombuffer(data, np.float32)
            cut = shape[0] * shape[1]
            places = tuple(Place(*place) for place in answer["places"])
            return SungText(text, numbers[:cut].reshape(shape), numbers[cut:], float(answer["hop"]), places)
        except (*CHILD_FAULTS, KeyError, TypeError):
            self.close()
            raise VoiceError("the process that makes frames of the lyrics ended or took too long") from None


_texts = Texts()


def texts() -> Texts:
    """Process-wide frame cache."""
    return _texts
