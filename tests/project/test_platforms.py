"""Every module is imported where the system is another: what is Linux's alone is asked for when it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.commands import ROOT

IMPORTS = """
import importlib, os, pathlib, select, signal, socket, sys, types

ABSENT = {
    "darwin": {
        os: "memfd_create eventfd pidfd_open sched_setscheduler sched_getaffinity sched_setaffinity SCHED_FIFO "
        "SCHED_RR posix_fallocate posix_fadvise MFD_CLOEXEC EFD_CLOEXEC EFD_NONBLOCK O_TMPFILE O_PATH splice P_PIDFD",
        select: "epoll EPOLLIN",
        socket: "SO_PEERCRED",
    },
}
ABSENT["win32"] = {
    os: ABSENT["darwin"][os] + " fork getuid geteuid getgid killpg setsid mkfifo nice chown fchmod WNOHANG pread "
    "pwrite O_NOFOLLOW O_CLOEXEC O_NONBLOCK O_DIRECTORY sysconf uname register_at_fork waitid writev",
    select: "epoll EPOLLIN poll",
    socket: "SO_PEERCRED AF_UNIX SO_REUSEPORT MSG_DONTWAIT MSG_NOSIGNAL SCM_RIGHTS send_fds recv_fds",
    signal: "SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGCHLD SIGPROF SIGVTALRM SIGALRM SIGXCPU SIGXFSZ SIGPIPE SIGSTOP SIGCONT "
    "setitimer ITIMER_REAL ITIMER_PROF ITIMER_VIRTUAL pthread_sigmask siginterrupt set_wakeup_fd",
}
MODULES = {"darwin": (), "win32": ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "readline")}

platform, root = sys.argv[1], pathlib.Path(sys.argv[2])
sys.path[:0] = [str(root / "server"), str(root / "plugins")]
names = []
for top in (root / "server" / "antiphon", *sorted((root / "plugins").glob("antiphon_*"))):
    for path in sorted(top.rglob("*.py")):
        place = path.relative_to(top.parent).with_suffix("").parts
        if not {"tests", "page", "node_modules", "__main__"} & set(place):
            names.append(".".join(place[:-1] if place[-1] == "__init__" else place))


def modules():
    failed = []
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
    return failed


# with what they need of others, which may be made for this system; some need what is not installed here
names = [name for name in names if name not in {line.partition(":")[0] for line in modules()}]
assert len(names) > 900
for name in [name for name in sys.modules if name.partition(".")[0].startswith("antiphon")]:
    del sys.modules[name]
for module, gone in ABSENT[platform].items():
    for name in gone.split():
        if hasattr(module, name):
            delattr(module, name)
for name in MODULES[platform]:
    sys.modules[name] = None
sys.modules.setdefault("msvcrt", types.ModuleType("msvcrt"))
sys.platform = platform
print("\\n".join(modules()), flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_every_module_is_imported_on_another_system(platform: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", IMPORTS, platform, str(ROOT)], capture_output=True, text=True, check=False, timeout=300
    )
    assert (found.stdout.strip(), found.returncode) == ("", 0), found.stderr
