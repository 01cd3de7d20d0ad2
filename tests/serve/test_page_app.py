"""The page as an app: it can be installed, opens while the server is away, is back with it, and takes a newer build."""

import base64
import hashlib
import os
import re
import signal
from pathlib import Path

import pytest
from tests.chromium import Chromium, Tab, needs_chromium
from tests.serve.test_page import LISTEN, PATCH, READY
from tests.web.test_openapi import server_thread

from antiphon.web.page import files
from antiphon_bench.rig import ServerProcess

pytestmark = [pytest.mark.real, pytest.mark.untimed, needs_chromium]

CACHED = """(async () => {
  const found = [];
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) found.push(new URL(request.url).pathname);
  }
  return found.sort();
})()"""
AWAY = "document.querySelector('.away').innerText.includes('does not answer')"


@pytest.fixture
def tab(browser: Chromium) -> Tab:
    found = browser.tab()
    found.size(1280, 800)
    return found


def test_it_can_be_installed_and_outlives_its_server(tab: Tab, tmp_path: Path) -> None:
    patch = tmp_path / "page.toml"
    patch.write_text(PATCH)
    server = ServerProcess("--audio", "headless", "--patch", str(patch), home=tmp_path, wait=120.0)
    server.start()
    try:
        tab.go(f"http://127.0.0.1:{server.http}/#room=instrument")
        tab.until(READY)
        tab.run("navigator.serviceWorker.ready.then(() => true)")
        errors = [one["errorId"] for one in tab.call("Page.getInstallabilityErrors")["installabilityErrors"]]
        assert [one for one in errors if one != "in-incognito"] == [], "a tab of its own storage is one"
        manifest = tab.call("Page.getAppManifest")
        assert manifest["errors"] == []
        assert manifest["url"].endswith("/page/manifest.webmanifest")
        tab.until("caches.keys().then(names => names.length === 1)")
        # no data and nothing of the API, though the page has read both
        assert set(tab.run(CACHED)) == set(re.findall(r'"(/page/[^"]+)":"sha256-', files.asset("worker.js").decode()))
        tab.reload()
        tab.until(READY)
        tab.until("navigator.serviceWorker.controller !== null")
        tab.run(LISTEN)
        tab.until("antiphon.report() && antiphon.report().rms > 0.1")
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGKILL)
        server.stop()
        tab.until(AWAY)
        # what was kept opens without the server, in words
        tab.reload()
        tab.until(f"document.querySelector('.away') && {AWAY}")
        assert tab.run("document.querySelectorAll('.node').length") == 0
        server.start()
        tab.until(READY)
        tab.until(f"!({AWAY})")
        tab.run(LISTEN)
        tab.until("antiphon.report() && antiphon.report().rms > 0.1")
    finally:
        server.stop()


def test_a_newer_build_is_taken_at_the_next_load(tab: Tab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = {name: files.asset(name) for name in files.TYPES}
    html = shipped["index.html"].replace(b"<title>Antiphon", b"<title>Next")
    worker = shipped["worker.js"].replace(integrity(shipped["index.html"]), integrity(html))
    worker = re.sub(rb"\$\{\w+\}[0-9a-f]{16}", lambda found: found[0][:-4] + b"next", worker)
    assert html != shipped["index.html"]
    assert worker.count(b"next`") == 1
    served = dict(shipped)
    monkeypatch.setattr(files, "asset", lambda name: served[name])
    with server_thread(tmp_path) as (address, _):
        tab.go(address)
        tab.until("document.title === 'Antiphon'")
        tab.run("navigator.serviceWorker.ready.then(() => true)")
        tab.until("caches.keys().then(names => names.length === 1)")
        served |= {"index.html": html, "worker.js": worker}
        tab.reload()
        tab.until("document.readyState === 'complete' && document.title === 'Antiphon'")
        tab.until("caches.keys().then(names => names.length === 1 && names[0].endsWith('next'))")
        tab.until("document.body.innerText.includes('newer page')")
        tab.reload()
        tab.until("document.title === 'Next'")


def integrity(text: bytes) -> bytes:
    return b"sha256-" + base64.b64encode(hashlib.sha256(text).digest())
