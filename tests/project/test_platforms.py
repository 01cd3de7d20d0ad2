"""What is Linux's alone stands in runtime/platform: every module is imported on another system, and does without it."""

import re
import subprocess
import sys

from tests.commands import ROOT

PLATFORM = ROOT / "server/antiphon/kernel/runtime/platform"
GUARDED = {
    "cli/commands.py": "a folder that does not exist is empty",
    "cli/serve.py": "a command line that cannot be covered is left",
    "control/state.py": "asked for by hasattr",
    "antiphon_midi/libraries.py": "read where it exists",
    "antiphon_midi/ports.py": "asked for on Linux",
    "doctor/machine.py": "asked for by hasattr",
    "files/audiowrite.py": "a hidden name stands in for an unnamed file",
    "io/listening.py": "an address that is not told is left out",
    "io/osc_udp.py": "drops that are not told count 0",
    "antiphon_dirt/port.py": "drops that are not told count 0",
    "antiphon_lights/targets.py": "a class that is not there is done without",
    "antiphon_model/landlock.py": "asked for on Linux",
    "offline/priority.py": "a group that is not there is left",
    "performer/branch.py": "asked for by hasattr",
    "runtime/paths.py": "asked for by hasattr",
    "runtime/resources.py": "memory that cannot be given back is kept",
    "scsynth/server.py": "a folder that does not exist is empty",
    "supervisor/jack_server.py": "a folder that does not exist is empty",
}
"""Modules outside the room that use something of Linux where there is it, and what they do where there is not."""
LINUX = re.compile(
    r"""\bos\.(eventfd|memfd_\w+|pidfd_\w+|pipe2|sched_\w+|posix_f\w+|splice|waitid)\b|O_TMPFILE|epoll|prctl|timerfd"""
    r"""|clock_nanosleep|["'](/proc|/sys|/dev/(shm|snd))/?|malloc_trim|SO_PEERCRED|SO_MEMINFO|SIOCG|\.syscall\b"""
)

IMPORTS = """
import builtins, ctypes, importlib, io, os, pathlib, select, signal, socket, sys, tempfile, types

ABSENT = {
    "darwin": {
        os: "memfd_create eventfd eventfd_read eventfd_write pidfd_open pipe2 sched_setscheduler sched_getaffinity "
        "sched_setaffinity sched_param SCHED_FIFO SCHED_RR posix_fallocate posix_fadvise MFD_CLOEXEC EFD_CLOEXEC "
        "EFD_NONBLOCK O_TMPFILE O_PATH splice copy_file_range getrandom P_PIDFD waitid",
        select: "epoll EPOLLIN",
        socket: "SO_PEERCRED",
    },
}
ABSENT["win32"] = {
    os: ABSENT["darwin"][os] + " fork getuid geteuid getgid killpg setsid mkfifo nice getpriority setpriority "
    "PRIO_PROCESS getloadavg chown fchmod WNOHANG pread pwrite O_NOFOLLOW O_CLOEXEC O_NONBLOCK O_DIRECTORY sysconf "
    "uname register_at_fork writev readv",
    select: "epoll EPOLLIN poll",
    socket: "SO_PEERCRED AF_UNIX SO_REUSEPORT MSG_DONTWAIT MSG_NOSIGNAL SCM_RIGHTS send_fds recv_fds",
    signal: "SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGCHLD SIGPROF SIGVTALRM SIGALRM SIGXCPU SIGXFSZ SIGPIPE SIGSTOP SIGCONT "
    "setitimer ITIMER_REAL ITIMER_PROF ITIMER_VIRTUAL pthread_sigmask siginterrupt",
}
MODULES = {
    "darwin": (),
    "win32": ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "readline", "_posixshmem"),
}
LIBC = {"darwin": ("prctl", "clock_nanosleep", "syscall", "malloc_trim"), "win32": None}

root = pathlib.Path(sys.argv[1])
sys.path[:0] = [str(root / "server"), *map(str, root.glob("plugins/*"))]
names = []
for top in (root / "server" / "antiphon", *sorted(root.glob("plugins/*/antiphon_*"))):
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
            failed.append(f"{name}: {type(error).__name__}: {error} on {sys.platform}")
    return failed


# with what they need of others, which may be made for this system; some need what is not installed here
names = [name for name in names if name not in {line.partition(":")[0] for line in modules()}]
assert len(names) > 800
for name in [name for name in sys.modules if name.partition(".")[0].startswith("antiphon")]:
    del sys.modules[name]
import psutil  # made for this system
for platform in ABSENT:
    if (child := os.fork()) == 0:
        break
    if os.waitpid(child, 0)[1]:
        print(f"the process for {platform} did not end")
else:
    sys.stdout.flush()
    os._exit(0)
for module, gone in ABSENT[platform].items():
    for name in gone.split():
        if hasattr(module, name):
            delattr(module, name)
for name in MODULES[platform]:
    sys.modules[name] = None
sys.modules.setdefault("msvcrt", types.ModuleType("msvcrt"))


class Library(ctypes.CDLL):
    def __init__(self, name, *args, **options):
        self.whole = name is None
        if name is None and LIBC[platform] is None:
            raise TypeError("there is no C library without a name")
        super().__init__(name, *args, **options)

    def __getattr__(self, name):
        if self.whole and name in LIBC[platform]:
            raise AttributeError(name)
        return super().__getattr__(name)


ctypes.CDLL = Library
sys.platform = platform
failed = modules()


def within(open_):
    def opened(path, *args, **options):
        if isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(("/proc", "/sys", "/dev/s")):
            raise FileNotFoundError(2, "there is no such file", path)
        return open_(path, *args, **options)
    return opened


def done():
    from antiphon.cli.serve import overwrite_secret
    from antiphon.doctor.machine import CHECKS
    from antiphon.files.audiowrite import DraftFile
    from antiphon.jobs.board import places
    from antiphon.web.control_status import late_advice
    from antiphon.kernel.engine.drivers.headless import Headless
    from antiphon.kernel.io import listening, osc_udp
    from antiphon.kernel.runtime import platform, resources
    from antiphon.kernel.runtime.platform import c_function
    from antiphon_model.landlock import forbid_writing

    assert platform.PORTABLE
    for name in ("clock_gettime", "nanosleep", "poll", "read", "write"):
        assert c_function(name)
    resources.trim()
    assert not overwrite_secret("--token", "secret") and not forbid_writing()
    assert "127.0.0.1" in listening.local_addresses() and places() >= 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        assert osc_udp._listed_drops(one) == 0
    for check in CHECKS:
        list(check())


if platform == "darwin":
    for module in (builtins, io, os):
        module.open = within(module.open)
    # psutil reads them here
    before = psutil.virtual_memory
    psutil.virtual_memory = lambda: types.SimpleNamespace(available=1 << 33)
    try:
        done()
    except BaseException as error:
        import traceback
        failed.append(traceback.format_exc())
print("\\n".join(failed), flush=True)
os._exit(0)
"""


def test_every_module_is_imported_on_another_system() -> None:
    found = subprocess.run(
        [sys.executable, "-c", IMPORTS, str(ROOT)], capture_output=True, text=True, check=False, timeout=300
    )
    assert (found.stdout.strip(), found.returncode) == ("", 0), found.stderr


def test_what_is_of_linux_stands_in_one_room_or_is_done_without() -> None:
    found = set()
    for path in (*ROOT.glob("server/antiphon/**/*.py"), *ROOT.glob("plugins/*/antiphon_*/**/*.py")):
        tested = "tests" in path.relative_to(ROOT).parts
        if not tested and PLATFORM not in path.parents and LINUX.search(path.read_text("utf-8")):
            found.add("/".join(path.parts[-2:]))
    assert found == set(GUARDED)
