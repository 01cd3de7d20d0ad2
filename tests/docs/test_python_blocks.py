"""Blocks of Python on the pages: each is run by a test that is named here; that of docs/library.md by this one."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from tests import audio
from tests.commands import PAGES, ROOT, blocks, text

from antiphon.cli.commands import application
from antiphon.offline import analyses as registered

RUN_BY = {
    "README.md": "tests/docs/test_python_page.py",
    "docs/python.md": "tests/docs/test_python_page.py",
    "docs/hooks.md": "tests/serve/test_plugin_transport.py",
    "docs/live-coding.md": "tests/docs/test_live_coding.py",
    "docs/plugins.md": "tests/docs/test_plugins.py",
    "docs/library.md": "tests/docs/test_python_blocks.py",
}


def test_each_page_with_python_is_run() -> None:
    pages = {page for page in PAGES if any(block.lang == "python" for block in blocks(page))}
    assert pages == set(RUN_BY)
    assert [path for path in RUN_BY.values() if not (ROOT / path).is_file()] == []


@pytest.fixture
def registered_anew() -> Iterator[None]:
    """A process keeps the analyses that it has found, which are those of one folder of plugins."""
    registered._made.cache_clear()
    yield
    registered._made.cache_clear()


@pytest.mark.usefixtures("registered_anew")
def test_the_analysis_of_the_library_page_finds_what_is_bright(
    tmp_path: Path, antiphon_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, body in re.findall(r"```python\n# (brightness/\S+)\n(.*?)```", text("docs/library.md"), re.DOTALL):
        path = antiphon_home / "data" / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
    app = typer.main.get_command(application())
    found = []
    for hertz in (1000.0, 2000.0):
        file = audio.write(tmp_path / f"{hertz:g}.wav", audio.sine(hertz, 2.0))
        words = (["add", str(file)], ["analyse", str(file), "--only", "brightness"], ["show", str(file), "--json"])
        for one in words:
            capsys.readouterr()
            assert not app.main(args=["library", *one], prog_name="antiphon", standalone_mode=False)
        shown = capsys.readouterr().out
        (value,) = re.findall(r'"brightness": ([\d.]+)', json.dumps(json.loads(shown)))
        found.append(float(value))
    assert found[1] == pytest.approx(2.0 * found[0], rel=0.05)
    assert found[0] == pytest.approx(2.0 * 1000.0 / 48000.0, rel=0.05)
