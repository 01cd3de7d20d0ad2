"""`--mqtt-url`: what it takes, and that its password is shown to nobody."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from antiphon.api import UsageError
from antiphon.api.backends.transports import ServeSettings
from antiphon_mqtt.transport import MQTT_URL, Broker, MqttTransport, mqtt_broker

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://stage:pw@broker.local:1884", Broker("broker.local", 1884, "stage", "pw", "pw")),
        ("mqtt://stage:p%40%3Aw@10.0.0.7", Broker("10.0.0.7", 1883, "stage", "p@:w", "p%40%3Aw")),
        ("mqtt://localhost/", Broker("localhost", 1883)),
        ("mqtt://u@[::1]:9", Broker("::1", 9, "u")),
    ],
)
def test_a_url_names_a_broker(url: str, broker: Broker) -> None:
    assert mqtt_broker(url) == broker


@pytest.mark.parametrize(
    "place", ["broker:port", "broker:0", "broker:99999", "", "broker/topic", "broker?x=1", "broker#x", "a b", "[::1"]
)
def test_what_is_none_is_refused_without_a_word_of_the_password(place: str) -> None:
    for url in (f"mqtt://u:{SECRET}@{place}", f"http://u:{SECRET}@h", f"u:{SECRET}@h", f"mqtt://u:{SECRET}#x@h"):
        with pytest.raises(UsageError) as refused:
            MqttTransport().check(ServeSettings(secrets={"mqtt-url": url}))
        assert SECRET not in str(refused.value)
        assert refused.value.__cause__ is None


@given(st.text(max_size=40))
def test_any_text_is_a_broker_or_refused(text: str) -> None:
    for url in (text, f"mqtt://{text}", f"mqtt://u:{text}@h"):
        try:
            found = mqtt_broker(url)
        except UsageError:
            continue
        assert found.host
        assert 0 < found.port < 65536


def test_settings_show_and_write_no_broker() -> None:
    settings = ServeSettings(secrets={"mqtt-url": f"mqtt://u:{SECRET}@h"})
    assert SECRET not in settings.to_json()
    assert SECRET not in repr(settings)
    assert SECRET not in repr(mqtt_broker(settings.value(MQTT_URL)))
    assert ServeSettings.from_json(settings.to_json()) == settings.with_(secrets={})


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc to show a command line")
def test_a_password_is_covered_in_the_process_list() -> None:
    url = f"mqtt://u:{SECRET}@h"
    run = (
        "import sys; from pathlib import Path; from antiphon.cli.terminal.process_title import cover;"
        f"url = sys.argv[2]; assert cover(url, url[9:{9 + len(SECRET)}]); assert not cover('ab' + 'sent', 'a');"
        "print(Path('/proc/self/cmdline').read_bytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", run, "--mqtt-url", url, "--block", "64"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert f"--mqtt-url\\x00mqtt://u:{'x' * len(SECRET)}@h\\x00--block\\x0064" in done.stdout
    assert SECRET not in done.stdout
