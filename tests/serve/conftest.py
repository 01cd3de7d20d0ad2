"""What the tests of a real server share."""

from collections.abc import Iterator

import pytest
from tests.chromium import Chromium

from antiphon_bench.rig import ServerProcess


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that plays the module's `PATCH`."""
    home = tmp_path_factory.mktemp("home")
    (home / "page.toml").write_text(request.module.PATCH)
    with ServerProcess("--audio", "headless", "--patch", str(home / "page.toml"), home=home, wait=120.0) as running:
        yield running


@pytest.fixture(scope="session")
def one_chromium() -> Iterator[Chromium]:
    """One browser for all tests of this process: each tab has storage of its own."""
    with Chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def chromium(one_chromium: Chromium) -> Iterator[Chromium]:
    """The browser, whose tabs are closed after a module."""
    yield one_chromium
    one_chromium.close_tabs()


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[Chromium]:
    """The browser; tabs that a test opens are closed after it: its pages cost the next ones nothing."""
    before = len(chromium.contexts)
    yield chromium
    chromium.close_tabs(before)
