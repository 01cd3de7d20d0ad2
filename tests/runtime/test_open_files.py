"""The limit of open files is raised where it is low, and never lowered."""

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource", reason="Windows has no such limit")

RAISE = """
import resource
from antiphon.kernel.runtime.platform import raise_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
raise_open_files(2048)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(("soft", "hard", "raised"), [(256, 4096, 2048), (256, 512, 512), (3000, 4096, 3000)])
def test_open_files_are_raised_to_what_is_granted(soft: int, hard: int, raised: int) -> None:
    said = subprocess.run(
        [sys.executable, "-c", RAISE.format(soft=soft, hard=hard)], capture_output=True, text=True, check=True
    )
    assert int(said.stdout) == raised
