"""Set lists: what they say, what is refused and how, and which file a name means."""

from pathlib import Path

import pytest

from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph import patch, patch_list
from antiphon.kernel.plugins.loader import load
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.session import set_list

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


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format = 1", "format = 2", "s.toml, line 1, 'format': takes 1, at the top of the file, not 2"),
        ("format = 1\n", "", "s.toml, line 1: a set lacks format, which takes 1, at the top of the file"),
        ("fade", "fader", "'fader': is not a key of a set; did you mean fade? the keys are: format, name, patches"),
        ("1.5", "-1", "line 4, 'fade': takes 0 to 60 s, not -1"),
        ("1.5", "nan", "line 4, 'fade': takes 0 to 60 s"),
        ("1.5", "true", "line 4, 'fade': takes 0 to 60 s"),
        ('"keys"', '"nothing"', "line 3, 'patches': there is no patch 'nothing'; there are: "),
        ('"keys"', '"../keys"', "line 3, 'patches': '../keys' is not a name"),
        ('"keys"', "5", 'line 3, \'patches\': takes 1 to 256 names, as in ["voice", "keys"], not 5'),
        ('["through", "keys", "through"]', "[]", "line 3, 'patches': takes 1 to 256 names"),
        ('"cc 66"', '"cc 166"', 'is not a control; "cc 0" to "cc 127" are'),
        ('"cc 66"', '"note 3"', 'is not a control; "cc 0" to "cc 127" are'),
        ('"next"', '"sideways"', "takes next or previous"),
        ('"next"', '["next"]', "takes next or previous"),
        ("1.5", "9" * 330, "takes 0 to 60 s"),
        ('"An evening"', '"two\\nlines"', "line 2, 'name': takes one line of text"),
        ("fade = 1.5", "fade = ", "s.toml is not TOML: line 4"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line_and_what_is_allowed(old, new, said):
    with pytest.raises(PatchError) as caught:
        set_list.parse(GOOD.replace(old, new, 1), "s.toml")
    assert said in str(caught.value)


def test_a_performers_own_set_stands_before_a_built_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path))
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
