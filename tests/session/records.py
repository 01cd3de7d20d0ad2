"""Any action there is, for properties: every field within its bounds, the bounds included."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from antiphon.kernel.session.actions import ACTIONS, Action
from antiphon.kernel.session.commands import NOW, Beat, Play, Sample, When
from antiphon.kernel.session.records import Field, RecordRow


def value(field: Field) -> st.SearchStrategy[Any]:
    low, high = field.bounds
    found: st.SearchStrategy[Any] = st.integers(int(low), int(high))
    if field.code == "?":
        found = st.booleans()
    elif field.code == "d":
        found = st.floats(low, high)
    ends = st.sampled_from([low, high]).map({"?": bool, "d": float}.get(field.code, int))
    return st.one_of(found, ends, st.none()) if field.optional else st.one_of(found, ends)


def times() -> st.SearchStrategy[When]:
    beats = st.floats(allow_nan=False, allow_infinity=False)
    return st.one_of(st.just(NOW), st.builds(Sample, st.integers(-(2**63), 2**63 - 1)), st.builds(Beat, beats, beats))


def record(row: RecordRow) -> st.SearchStrategy[Action]:
    return st.builds(row.make, *map(value, row.fields), times())


def records() -> st.SearchStrategy[Action]:
    return st.sampled_from(ACTIONS.rows).flatmap(record)


def logged(action: Action, when: When) -> Action:
    """What a log keeps of it."""
    if isinstance(action, Play):
        return Play(action.node, replace(action.event, serial=0), when)
    return replace(action, when=when)
