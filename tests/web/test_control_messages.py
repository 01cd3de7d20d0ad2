"""Requests of the web process to control, and answers in parts."""

import json

import pytest
from hypothesis import given, strategies as st
from tests.each import each

from antiphon.kernel.errors import WireError
from antiphon.web.messages import MAX_NUMBER, PART, STARTED, Assembly, Topic, WebRequest, split_answer


@given(st.integers(0, MAX_NUMBER - 1), st.sampled_from(list(Topic)), st.text(max_size=40))
def test_a_request_comes_back(number: int, topic: Topic, about: str) -> None:
    assert WebRequest.unpack(WebRequest(number, topic, about).pack()) == WebRequest(number, topic, about)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    try:
        WebRequest.unpack(data)
    except WireError:
        return


@each(
    "fields",
    [
        {},
        [],
        {"number": 1, "topic": "status"},
        {"number": 1, "topic": "eval", "about": ""},
        {"number": -1, "topic": "status", "about": ""},
        {"number": True, "topic": "status", "about": ""},
        {"number": 2**60, "topic": "status", "about": ""},
        {"number": 1, "topic": "approve", "about": 5},
    ],
)
def test_what_is_no_request_is_refused(fields: object) -> None:
    with pytest.raises(WireError):
        WebRequest.unpack(json.dumps(fields).encode())


@pytest.mark.parametrize("size", [0, 1, PART, 3 * PART + 5])
def test_an_answer_is_put_together_from_its_parts(size: int) -> None:
    answer, assembly = {"data": "x" * size}, Assembly(7)
    messages = list(split_answer(7, json.dumps(answer).encode()))
    found = [assembly.add(message) for message in messages]
    assert found == [None] * (len(messages) - 1) + [answer]


def test_parts_of_others_are_passed_over_and_an_answer_that_begins_again_counts() -> None:
    assembly = Assembly(7)
    own = list(split_answer(7, json.dumps({"data": "x" * 3 * PART}).encode()))
    other = next(split_answer(8, b"{}"))
    for message in (other, STARTED, own[0], own[1], other):
        assert assembly.add(message) is None
    for message in own[:-1]:
        assert assembly.add(message) is None
    assert assembly.add(own[-1]) == {"data": "x" * 3 * PART}


def test_what_is_no_part_is_refused() -> None:
    with pytest.raises(WireError):
        Assembly(1).add(b"short")
