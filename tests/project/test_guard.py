"""`make guard`: what counts as a figure that fell, and that the committed table names evaluations that there are."""

import importlib.util
import math
import sys
from dataclasses import replace
from pathlib import Path

from antiphon.kernel.plugins.hook_lists import factories

_SPEC = importlib.util.spec_from_file_location("guard", Path(__file__).parents[2] / "tools" / "guard.py")
assert _SPEC is not None
assert _SPEC.loader is not None
guard = importlib.util.module_from_spec(_SPEC)
sys.modules["guard"] = guard  # dataclasses look their module up
_SPEC.loader.exec_module(guard)


def test_a_figure_falls_by_more_than_its_error_and_in_its_own_direction() -> None:
    was = guard.Figure("tempo", 4, "listen", "beats", value=0.9, error=0.02, n=4)
    assert not was.fell(replace(was, value=0.89))
    assert not was.fell(replace(was, value=0.99))
    assert was.fell(replace(was, value=0.87))
    assert not was.fell(replace(was, value=math.nan))
    less = replace(was, better="lower")
    assert less.fell(replace(less, value=0.93))
    assert not less.fell(replace(less, value=0.5))


def test_the_table_is_read_and_written_again_as_it_was(tmp_path: Path) -> None:
    table = guard.read_table()
    guard.write_table(table, tmp_path / "guard.toml")
    assert (tmp_path / "guard.toml").read_text() == guard.TABLE.read_text()


def test_every_figure_is_of_an_evaluation_that_has_it() -> None:
    made = factories("evaluations")
    for each in guard.read_table():
        evaluation = made[each.evaluation]()
        assert each.system in {system.name for system in evaluation.systems}
        measures = {measure.name: measure.better for measure in evaluation.measures}
        assert measures[each.measure] == each.better, each.title
