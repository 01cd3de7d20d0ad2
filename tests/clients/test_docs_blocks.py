"""Every SuperCollider block of the README and the docs compiles in sclang, with the quark."""

from pathlib import Path

import pytest
from tests.clients.conftest import Run
from tests.commands import PAGES, blocks

pytestmark = [pytest.mark.real, pytest.mark.untimed]


def test_the_blocks_compile(sclang: Run, tmp_path: Path) -> None:
    written = ["\n".join(block.lines) for page in PAGES for block in blocks(page) if block.lang == "supercollider"]
    assert len(written) >= 6
    for n, text in enumerate(written):
        (tmp_path / f"{n}.scd").write_text(text)
    (tmp_path / "all.scd").write_text(
        f'{len(written)}.do {{ |n| var text = File.readAllString("{tmp_path}/%.scd".format(n));\n'
        '    if(text.compile.isNil) { "BLOCK % DOES NOT COMPILE".format(n).postln } };\n"COMPILED".postln; 0.exit;\n'
    )
    posted = sclang(tmp_path / "all.scd")
    assert "COMPILED" in posted
    assert "DOES NOT COMPILE" not in posted, posted
