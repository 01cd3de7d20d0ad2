"""A performer's own plugins, from files: a transport's options on the command line, and addresses of OSC."""

import os
import re
import subprocess
from pathlib import Path

from tests import forked

from antiphon_bench.rig import ServerProcess

PLUGIN = """
from antiphon.api import UsageError, hookimpl
from antiphon.api.backends.runtime import ServeOption
from antiphon.api.backends.transports import Transport

GAIN = ServeOption("lamp-gain", "The gain of a lamp.", 1.0)
NAMES = ServeOption("lamp", "The name of a lamp; repeatable.", ())
KEY = ServeOption("lamp-key", "The key of the lamps.", "", envvar="LAMP_KEY", secret=True)


class Lamps(Transport):
    options = (GAIN, NAMES, KEY)

    def check(self, settings):
        if not 0.0 <= settings.value(GAIN) <= 2.0:
            raise UsageError(f"--lamp-gain takes 0 to 2, not {settings.value(GAIN):g}")

    def start(self, server):
        given = server.settings.value
        server.status(lambda: {"gain": given(GAIN), "names": list(given(NAMES)), "key": len(given(KEY))})


@hookimpl
def antiphon_transports(register):
    register("lamps", Lamps, "Lamps.")
"""


HOOKS = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text()
(DIMMER,) = re.findall(r"```python\n# dimmer/__init__.py\n(.*?)```", HOOKS, re.DOTALL)
"""The example of `antiphon_addresses`."""


def written(home: Path, text: str = PLUGIN, name: str = "lamps") -> Path:
    folder = home / "data" / "plugins" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(text)
    return home


def antiphon(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "ANTIPHON_HOME": str(home), "COLUMNS": "200"}
    command = [*forked.COMMAND, *arguments]
    return forked.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_its_options_are_those_of_serve(tmp_path: Path) -> None:
    home = written(tmp_path, PLUGIN.replace("(GAIN, NAMES, KEY)", '(GAIN, NAMES, KEY, ServeOption("patch", "Mine."))'))
    page = antiphon(home, "serve", "--help")
    shown = " ".join(page.stdout.split())
    assert "--lamp-gain <float> The gain of a lamp. [default: 1.0]" in shown
    assert "--lamp-key <str> The key of the lamps. [env var: LAMP_KEY]" in shown
    assert "Mine." not in shown
    assert "--patch, which there is already" in page.stderr
    refused = antiphon(home, "serve", "--lamp-gain", "9")
    assert refused.returncode != 0
    assert "--lamp-gain takes 0 to 2, not 9" in refused.stderr
    assert "--lamp-gain" in antiphon(home, "serve", "--lamp-gain", "loud").stderr


def test_a_running_server_has_their_values_and_a_plugins_addresses(tmp_path: Path) -> None:
    home = written(tmp_path)
    written(tmp_path, DIMMER, "dimmer")
    options = ("--audio", "headless", "--patch", "through", "--lamp-gain", "0.25", "--lamp", "a", "--lamp", "b")
    with ServerProcess(*options, home=home, env={"LAMP_KEY": "a secret"}) as server:
        assert server.status()["lamps"] == {"gain": 0.25, "names": ["a", "b"], "key": 8}
        assert server.ask("/dimmer/down", 2) == ("/dimmer/at", [-12.0])
        assert server.ask("/node/out/gain") == ("/node/out/gain", [-12.0])
        server.send("/at", 0.0, "/dimmer/down", 1)
        server.sync()
        assert server.ask("/node/out/gain")[1] == [-6.0]
        kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
        assert b"a secret" not in kept
