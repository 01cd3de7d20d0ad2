"""Where a server's processes are noted, and how the next one finds what a dead one left, also at a port of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.waiting import until

from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.platform import start_time
from antiphon.kernel.runtime.processes import pidfile
from antiphon.kernel.runtime.settings import ServeSettings

FREE = ServeSettings(osc_port=0)


@pytest.fixture
def runtime() -> Path:
    return paths.runtime()


@pytest.fixture
def orphan() -> Iterator[subprocess.Popen[bytes]]:
    """A process that a killed supervisor left."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def gone() -> int:
    """The pid of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_what_a_killed_supervisor_with_a_free_port_left_is_found(
    runtime: Path, orphan: subprocess.Popen[bytes]
) -> None:
    dead = gone()
    left = runtime / f"free-{dead}"
    left.mkdir()
    pidfile.write(left, dead, {"engine": orphan.pid}, ServeSettings(patch="wah"))
    (left / "state.json").write_text("kept")
    place = pidfile.folder(FREE)
    assert place == runtime / f"free-{os.getpid()}"
    assert not left.exists()
    assert (place / "state.json").read_text() == "kept"
    pidfile.end_orphans(place)
    assert orphan.wait(60.0) != 0
    found = pidfile.crashed_settings(place)
    assert found is not None
    assert found.patch == "wah"


def test_folders_that_hold_nothing_are_swept_and_those_of_live_servers_kept(
    runtime: Path, orphan: subprocess.Popen[bytes]
) -> None:
    ended, alive = runtime / f"free-{gone()}", runtime / f"free-{orphan.pid}"
    for place in (ended, alive):
        place.mkdir()
        (place / "catalog.json").write_text("{}")
    pidfile.write(alive, orphan.pid, {}, FREE)
    place = pidfile.folder(FREE)
    assert {path.name for path in runtime.iterdir()} == {alive.name, place.name}
    assert not list(place.iterdir())


def test_a_free_ports_folder_goes_with_its_server_and_a_named_ports_stays(runtime: Path) -> None:
    for settings, stays in ((FREE, False), (ServeSettings(osc_port=47114), True)):
        place = pidfile.folder(settings)
        (place / "catalog.json").write_text("{}")
        pidfile.write(place, 0, {}, settings)
        pidfile.clear(place, settings)
        assert place.exists(), "there is something to go on with"
        (place / pidfile.LIST).unlink()
        pidfile.clear(place, settings)
        assert place.exists() == stays


def test_what_servers_at_other_ports_left_is_swept_at_a_start(runtime: Path) -> None:
    old, crashed, starting = (pidfile.folder(ServeSettings(osc_port=47120 + n)) for n in range(3))
    pidfile.write(crashed, gone(), {}, ServeSettings(osc_port=47121))
    for place in (old, crashed):
        (place / "catalog.json").write_text("{}")
        os.utime(place, (0.0, 0.0))
    own = pidfile.folder(ServeSettings(osc_port=47123))
    assert {path.name for path in runtime.iterdir()} == {crashed.name, starting.name, own.name}


FIRST_ENDS = """
import ctypes, sys, threading
threading.Thread(target=sys.stdin.read).start()
print(flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_start_time_first_thread_ended_still_runs() -> None:
    """A killed process has its ports until its last thread ends."""
    command, pipe = [sys.executable, "-c", FIRST_ENDS], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        begun = start_time(process.pid)
        until(lambda: b") Z " in Path(f"/proc/{process.pid}/stat").read_bytes(), 5.0, "its first thread has ended")
        assert start_time(process.pid) == begun != 0
    assert start_time(process.pid) == 0


ASKED = """
import os
import signal
from antiphon.kernel.runtime.platform import short_slices
os.nice(7)
short_slices()
print(os.getpriority(os.PRIO_PROCESS, 0))
"""


def test_short_slices_leave_the_priority_that_somebody_gave() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import os; before = os.nice(0)\n" + ASKED + "print(before)"],
        capture_output=True,
        text=True,
        check=True,
    )
    after, before = map(int, done.stdout.split())
    assert after == min(19, before + 7)


GIVES_WAY = """
import os, signal, sys
from pathlib import Path
from antiphon.offline import priority
priority._GROUPED = Path(sys.argv[1])
priority._AUTOGROUP = Path(sys.argv[2])
parent = os.getpid()
priority.give_way(beside=sys.argv[3] == "beside")
print(os.getpriority(os.PRIO_PROCESS, 0), os.getsid(0) == os.getpid() != parent)
sys.stdout.flush()
if sys.argv[4] == "waits":
    signal.pause()
sys.exit(7)
"""


@pytest.mark.parametrize(
    ("grouped", "beside", "wanted"),
    [("1", "beside", "19 True\n"), ("0", "beside", "10 False\n"), ("1", "alone", "10 False\n")],
)
def test_a_command_on_files_gives_way_in_its_session_and_ends_as_its_work_does(
    tmp_path: Path, grouped: str, beside: str, wanted: str
) -> None:
    enabled, group = tmp_path / "enabled", tmp_path / "group"
    enabled.write_text(f"{grouped}\n")
    group.write_text("0")
    typed = [sys.executable, "-c", GIVES_WAY, str(enabled), str(group), beside]
    done = subprocess.run([*typed, "ends"], capture_output=True, text=True, check=False)
    if os.getpriority(os.PRIO_PROCESS, 0) <= 10:
        assert done.stdout == wanted
    assert done.returncode == 7
    assert group.read_text() == ("10" if (grouped, beside) == ("1", "beside") else "0")
    led = subprocess.run([*typed, "ends"], capture_output=True, text=True, check=False, start_new_session=True)
    assert led.stdout == f"{os.getpriority(os.PRIO_PROCESS, 0)} False\n", "who started it has chosen"
    waits = subprocess.Popen([*typed, "waits"], stdout=subprocess.PIPE)
    assert waits.stdout is not None
    waits.stdout.readline()
    waits.terminate()
    assert waits.wait(60.0) == -signal.SIGTERM
    assert waits.stdout.read() == b"", "nobody holds its output"
    waits.stdout.close()
