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


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """One browser for the tests of a module; each opens tabs of its own."""
    with Chromium() as browser:
        yield browser


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[Chromium]:
    """The module's browser, whose tabs are closed after a test: its pages cost the next ones nothing."""
    yield chromium
    chromium.close_tabs()
