"""Text from outside is text: half of a character is refused with its place."""

import json
from typing import Literal

import msgspec
import pytest

from antiphon.kernel.runtime.typed import HalfCharacter, Misfit, convert, parse_json


class Named(msgspec.Struct):
    """A record with texts."""

    kind: Literal["a", "b"]
    more: list[str] = []


@pytest.mark.parametrize("value", ["\ud800", ["a", "\udc80"], {"a": {"\ud800": 1}}, {"a": [{"b": "x\udfff"}]}])
def test_json_with_half_a_character_is_refused(value: object) -> None:
    with pytest.raises(HalfCharacter, match="half of a character"):
        parse_json(json.dumps(value))
    with pytest.raises(ValueError, match="codec can't decode"):
        parse_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def test_json_of_whole_characters_is_read() -> None:
    for value in ("\U0001f3b9", ["é", {"ü": [None, 1.5]}]):
        assert parse_json(json.dumps(value)) == parse_json(b"\xef\xbb\xbf" + json.dumps(value).encode()) == value
    with pytest.raises(ValueError, match="nested"):
        parse_json("[" * 100_000)


@pytest.mark.parametrize(("data", "place"), [({"kind": "\ud800"}, "kind"), ({"kind": "a", "more": "\ud800"}, "more")])
def test_data_with_half_a_character_is_refused_by_place(data: object, place: str) -> None:
    with pytest.raises(Misfit, match=f"^{place}.* holds half of a character"):
        convert(data, Named, "a record")
