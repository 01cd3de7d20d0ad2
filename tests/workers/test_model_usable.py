"""What is said where a model cannot run: how to have it, once, and not while a declaration is only tried."""

import logging
from dataclasses import replace

import pytest

from antiphon.kernel.workers import devices, pool
from antiphon.networks import model_client
from antiphon_hum.learned.tables import HUM


def test_without_torch_the_command_that_brings_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "installed_torch", lambda: None)
    said = model_client.usable(replace(HUM, array_network=""))
    assert said == "the model hum-learned needs torch, which is not installed; `make models` installs it"

    assert model_client.usable(HUM) == ""


def test_it_is_said_once_and_never_of_what_is_only_tried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(model_client, "_SAID", set())
    log = logging.getLogger("antiphon.hum")
    with pool.without_workers():
        model_client.say_instead(log, "hum does without")
    assert caplog.messages == []
    for _ in range(3):
        model_client.say_instead(log, "hum does without")
    assert caplog.messages == ["hum does without"]
    model_client.say_instead(logging.getLogger("antiphon.denoise"), "denoise does without")
    assert caplog.messages == ["hum does without", "denoise does without"]
