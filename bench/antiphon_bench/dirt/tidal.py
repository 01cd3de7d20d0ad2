"""Real Tidal in a process of its own: ghci, as editors drive it, with its code read line by line."""

from __future__ import annotations

import contextlib
import itertools
import queue
import shutil
import subprocess
import threading
from types import TracebackType

from antiphon_bench.rig import free_port

PACKAGES = "ghc and libghc-tidal-dev"
"""What has to be installed, as Debian calls it."""
PATIENCE = 120.0
"""Seconds after which Tidal has failed to answer, also on a busy machine."""
LATENCY = 0.4
"""Seconds by which it sends events ahead; a boot file has 0.05 to 0.3."""
_BOOT = """
:set -XOverloadedStrings
:set prompt ""
:set prompt-cont ""
import Sound.Tidal.Context
import System.IO (hFlush, stdout)
tidal <- startTidal (superdirtTarget {{oLatency = {latency}, oAddress = "127.0.0.1", oPort = {port}}}) {config}
let hush = streamHush tidal
let once = streamOnce tidal
let setcps = once . cps
let d1 = streamReplace tidal 1 . (|< orbit 0)
let d2 = streamReplace tidal 2 . (|< orbit 1)
let d3 = streamReplace tidal 3 . (|< orbit 2)
let d4 = streamReplace tidal 4 . (|< orbit 3)
let d5 = streamReplace tidal 5 . (|< orbit 0)
let d6 = streamReplace tidal 6 . (|< orbit 1)
"""
"""The words of Tidal's own boot file that play; the ports of its control and tempo are free ones."""
_CONFIG = "(defaultConfig {{cCtrlPort = {control}, cTempoPort = {tempo}, cVerbose = True}})"


class TidalError(RuntimeError):
    """Tidal is missing, has ended, or refused code; the text is its own."""


def tidal_problem() -> str:
    """A sentence on what is missing for real Tidal; empty where nothing is."""
    if shutil.which("ghci") is None:
        return f"ghci is missing: sudo apt-get install {PACKAGES.replace(' and ', ' ')}"
    found = subprocess.run(["ghc-pkg", "list", "--simple-output", "tidal"], capture_output=True, text=True, check=False)
    if "tidal" not in found.stdout:
        return "ghci knows no package tidal: sudo apt-get install libghc-tidal-dev"
    return ""


class TidalProcess:
    """Tidal that plays to one port, as a context manager.

    Attributes:
        lines: What it has printed.
    """

    def __init__(self, port: int, latency: float = LATENCY) -> None:
        """Starts nothing yet.

        Args:
            port: Port of what stands for SuperDirt, on this machine.
            latency: Seconds by which events are sent ahead.
        """
        config = _CONFIG.format(control=free_port(), tempo=free_port())
        self._boot = _BOOT.format(latency=latency, port=port, config=config)
        self._process: subprocess.Popen[str] | None = None
        self._marks = itertools.count()
        self._news: queue.Queue[str | None] = queue.Queue()
        self.lines: list[str] = []

    def __enter__(self) -> TidalProcess:
        problem = tidal_problem()
        if problem:
            raise TidalError(problem)
        self._process = subprocess.Popen(
            ["ghci", "-v0", "-ignore-dot-ghci"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        threading.Thread(target=self._read, name="tidal", daemon=True).start()
        try:
            self._type(self._boot)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def run(self, code: str) -> None:
        """Has it evaluate a block of code, and returns when it has.

        Args:
            code: Tidal code, as it stands in a file; several lines are one block.

        Raises:
            TidalError: The code has an error, or Tidal does not answer.
        """
        self._type(f":{{\n{code.strip()}\n:}}\n")

    def _type(self, text: str) -> None:
        first, mark = len(self.lines), f"-- evaluated {next(self._marks)}"
        self._write(f'{text}\nputStrLn "\\n{mark}" >> hFlush stdout\n')
        self.expect(mark)
        printed = "\n".join(self.lines[first:])
        if "error:" in printed or "*** Exception" in printed:
            raise TidalError(printed)

    def _write(self, text: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text)
            self._process.stdin.flush()
        except OSError:
            raise TidalError("\n".join(["Tidal has ended:", *self.lines[-10:]])) from None

    def expect(self, text: str) -> None:
        """Returns once it has printed a line with this text.

        Args:
            text: The text.

        Raises:
            TidalError: It ended, or printed none within `PATIENCE`.
        """
        if any(text in line for line in self.lines):
            return
        while True:
            try:
                line = self._news.get(timeout=PATIENCE)
            except queue.Empty:
                raise TidalError("\n".join([f"not printed: {text!r}", *self.lines[-10:]])) from None
            if line is None:
                raise TidalError("\n".join(["Tidal has ended:", *self.lines[-10:]]))
            self.lines.append(line)
            if text in line:
                return

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._news.put(line.rstrip("\n"))
        self._news.put(None)

    def stop(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None


def blocks(text: str) -> list[str]:
    """The blocks of a file of Tidal code, which empty lines part, without its comments.

    Args:
        text: The file.

    Returns:
        Code for `TidalProcess.run`, in order.
    """
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [block for block in (part.strip("\n") for part in code.split("\n\n")) if block.strip()]
