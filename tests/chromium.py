"""Headless Chromium for tests, driven by its debugging protocol over a pipe; they are skipped where there is none."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

PATIENCE = 60.0
"""Seconds for an answer, on a machine that is busy with other work."""
SHORTEST, LONGEST = 0.005, 0.05
"""Seconds between two looks at a page: a tenth of what has passed, so that a look takes little from the page."""
BINARY = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream", "--remote-debugging-pipe", "--hide-scrollbars",
)  # fmt: skip


needs_chromium = pytest.mark.skipif(not BINARY, reason="Chromium is not installed: apt-get install chromium")
TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Until the page has been laid out and drawn anew."""


class Tab:
    """A tab of a browser."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser, self._session = browser, session

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Sends a command of the protocol and returns its result."""
        return self._browser.call(method, self._session, **params)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in found:
            raise AssertionError(f"{script}: {found['exceptionDetails'].get('exception', found)}")
        return found["result"].get("value")

    def until(self, script: str, seconds: float = PATIENCE) -> Any:
        """Waits until an expression is true, and returns its value."""
        began = time.monotonic()
        while not (value := self.run(script)):
            passed = time.monotonic() - began
            if passed > seconds:
                page = self.run("document.body.innerText.slice(0, 600)")
                raise AssertionError(f"not within {seconds:g} s: {script}; the page shows: {page}")
            time.sleep(min(LONGEST, max(SHORTEST, passed / 10)))  # the page tells of nothing
        return value

    def listen(self) -> None:
        """Keeps what its console shows from here on."""
        self.call("Runtime.enable")
        self.call("Log.enable")

    def go(self, url: str) -> None:
        """Opens an address."""
        self.call("Page.enable")
        self.call("Page.navigate", url=url)

    def reload(self) -> None:
        """Loads the page again; what is asked afterwards is asked of the new one."""
        self.run("window.leaving = true")
        self.call("Page.reload")
        self.until("!window.leaving")

    def size(self, width: int, height: int, *, phone: bool = False, scale: float = 1.0) -> None:
        """Sets the size of the window in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )

    def key(self, kind: str, key: str, code: str) -> None:
        """A key of the keyboard: kind is "keyDown" or "keyUp"."""
        extra = {"text": key} if kind == "keyDown" and len(key) == 1 else {}
        number = {"Escape": 27, " ": 32, "Enter": 13, "ArrowRight": 39}.get(key, ord(key.upper()[0]))
        self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number, **extra)

    def mouse(self, kind: str, x: float, y: float, clicks: int = 1) -> None:
        """The mouse: kind is "mousePressed", "mouseReleased" or "mouseMoved"."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=clicks)

    def screenshot(self, path: Path) -> None:
        """Writes what the tab shows as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


class Chromium:
    """A browser with a profile of its own, as a context manager.

    Attributes:
        contexts: Identifiers of the tabs' storages.
        messages: What the consoles of its tabs have shown, and errors that nothing caught; see `Tab.listen`.
    """

    def __enter__(self) -> Chromium:
        self._folder = tempfile.TemporaryDirectory(prefix="antiphon-chromium-", ignore_cleanup_errors=True)
        commands, self._send = os.pipe()
        self._receive, answers = os.pipe()

        def ends() -> None:
            # the browser reads commands from descriptor 3 and writes answers to 4
            read, write = os.dup(commands), os.dup(answers)
            os.dup2(read, 3)
            os.dup2(write, 4)

        self.process = subprocess.Popen(
            [BINARY, *OPTIONS, f"--user-data-dir={self._folder.name}", "about:blank"],
            close_fds=False,
            preexec_fn=ends,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(commands)
        os.close(answers)
        self._numbers, self._buffer = itertools.count(1), b""
        self.contexts: list[str] = []
        self.messages: list[str] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._send)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._receive)
        self._folder.cleanup()

    def tab(self) -> Tab:
        """Opens a tab with storage of its own, as another browser has."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        self.contexts.append(context)
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        return Tab(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])

    def close_tabs(self, left: int = 0) -> None:
        """Closes the tabs that were opened so far, but for the first `left`."""
        while len(self.contexts) > left:
            self.call("Target.disposeBrowserContext", browserContextId=self.contexts.pop())

    def call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Sends a command and returns its result; of events what a console shows is kept."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self._send, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        poll = select.poll()
        poll.register(self._receive, select.POLLIN)
        while True:
            while b"\0" in self._buffer:
                text, _, self._buffer = self._buffer.partition(b"\0")
                answer = json.loads(text)
                self._keep(answer)
                if answer.get("id") == number:
                    if "error" in answer:
                        raise AssertionError(f"{method}: {answer['error']}")
                    return dict(answer["result"])
            if not poll.poll(1000.0 * max(0.0, deadline - time.monotonic())):
                raise AssertionError(f"Chromium did not answer {method} within {PATIENCE:g} s")
            piece = os.read(self._receive, 1 << 20)
            if not piece:
                raise AssertionError(f"Chromium ended at {method}")
            self._buffer += piece

    def _keep(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Log.entryAdded":
                self.messages.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Runtime.consoleAPICalled":
                self.messages.append(" ".join(str(one.get("value", one)) for one in params["args"]))
            case "Runtime.exceptionThrown":
                self.messages.append(str(params["exceptionDetails"]))
