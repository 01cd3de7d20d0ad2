"""All of these start scsynth or sclang: they are tests on real parts."""

import os

import pytest

HERE = os.path.join(os.path.dirname(__file__), "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # every test of the whole suite comes by: a comparison of paths would take a third of a second
        if str(item.path).startswith(HERE):
            item.add_marker(pytest.mark.real)
