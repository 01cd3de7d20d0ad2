"""Set lists: what they say, what is refused and how, and which file a name means."""

import pytest
from tests import accepted

from antiphon.joining import set_list
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph import patch
from antiphon.kernel.plugins.loader import load
from antiphon.kernel.runtime import paths, resources
from antiphon.operations import patch_list

GOOD = """format = 1
name = "An evening"
patches = ["through", "keys", "through"]
fade = 1.5

[midi]
"cc 66" = "next"
"cc 67 2" = "previous"
"""


def test_a_set_is_its_patches_in_order_a_fade_and_pedals():
    made = set_list.parse(GOOD, "friday.toml")
    assert (made.file, made.name, made.patches, made.fade) == (
        "friday",
        "An evening",
        ("through", "keys", "through"),
        1.5,
    )
    assert made.midi == {"cc 66": "next", "cc 67 2": "previous"}
    assert set_list.parse('format = 1\npatches = ["keys"]\n', "short.toml").name == "short"


def test_what_is_wrong_is_refused_with_its_line_and_what_is_allowed():
    def answer(change):
        old, new = eval(change)
        assert old in GOOD
        return accepted.refusal(lambda: set_list.parse(GOOD.replace(old, new, 1), "s.toml"))

    accepted.compare(__file__, answer)


@pytest.mark.needs("answer")
def test_a_performers_own_set_stands_before_a_built_in_one():
    built_in = set_list.names()
    folder = paths.make_folder(paths.patches() / "live")
    (folder / "mine.toml").write_text(GOOD)
    (folder / f"{built_in[0]}.toml").write_text(GOOD)
    assert set_list.names() == sorted({*built_in, "mine"})
    assert set_list.load("mine").name == set_list.load(built_in[0]).name == "An evening"
    for name in ("../mine", "nothing", "", ".mine"):
        with pytest.raises(PatchError):
            set_list.load(name)
    assert "mine" not in patch_list.names()


def test_every_built_in_set_can_be_played():
    catalog = load(check=False).catalog
    found = sorted((resources.patches() / "live").glob("*.toml"))
    assert found
    for file in found:
        made = set_list.load(file.stem)
        for name in made.patches:
            patch.load(name, catalog)
