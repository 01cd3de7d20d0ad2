#!/bin/sh
# Makes .venv and installs Antiphon into it, in place: setup.sh, or setup.sh dev for tests and checks too.
set -eu
cd "$(dirname "$0")/.."
extra=${1:-}

say() { printf 'antiphon: %s\n' "$*"; }
fail() { printf 'antiphon: %s\n' "$*" >&2; exit 1; }
fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1; }
has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# The first that fits and can make an environment; else the first that fits; else nothing.
find_python() {
    first=
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3 /usr/bin/python3; do
        fits "$candidate" || continue
        if has_venv "$candidate"; then
            echo "$candidate"
            return
        fi
        first=${first:-$candidate}
    done
    echo "$first"
}

# Says why pip failed, by what it printed into the file.
explain() {
    lacking=$(sed -n 's/.*No matching distribution found for \([^ ;]*\).*/\1/p' "$1" | tail -n 1)
    if grep -q "No space left on device" "$1"; then
        fail "the disk is full; make room, then run the same command again"
    elif [ -z "$lacking" ] && grep -Eq "Failed (building|to build)|metadata-generation-failed" "$1"; then
        broken=$(sed -n 's/.*Failed building wheel for \([^ ]*\).*/\1/p' "$1" | tail -n 1)
        fail "the package ${broken:-named above} could not be built: above are its compiler's words, and the network is not at fault"
    elif grep -Eq "Retrying|ConnectionError|ConnectTimeout|timed out|name resolution|SSLError|ProxyError" "$1"; then
        fail "pip could not reach its package index (see above); is there a network? Then run the same command again"
    elif [ -n "$lacking" ]; then
        fail "the package index has no wheel of $lacking for $(.venv/bin/python --version) on this system;" \
            "with a C compiler try: PIP_ONLY_BINARY= make …"
    fi
    fail "pip could not install what pyproject.toml names (see above)"
}

if ! fits .venv/bin/python; then
    python=$(find_python)
    if [ -z "$python" ]; then
        found=$(python3 --version 2>/dev/null || echo "none")
        fail "Antiphon needs Python 3.11, 3.12 or 3.13 and found: $found." \
            "On Debian 12 or later: sudo apt-get install python3 python3-venv. Elsewhere: make PYTHON=/path/to/python3.12 …"
    fi
    if ! has_venv "$python"; then
        sh tools/system_packages.sh venv || exit 1
        has_venv "$python" || fail "$python cannot make a virtual environment. On Debian: sudo apt-get install python3-venv"
    fi
    if [ -e .venv ] && [ ! -f .venv/pyvenv.cfg ]; then
        fail ".venv is there and is no virtual environment; move it away and try again"
    fi
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv || fail "$python could not make .venv; is the disk full?"
fi

say "installing into .venv; a minute or two the first time"
# what has no wheel would need a compiler
export PIP_ONLY_BINARY="${PIP_ONLY_BINARY-:all:}"
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
# pip compiles one file after the other, a minute and a half for all of them
pip() { .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --no-compile "$@"; }
{
    # what builds the five is installed once: in an environment for each they take 22 s of a processor, and not 3
    { pip "hatchling>=1.27" &&
        pip --no-build-isolation --no-deps --editable . --editable plugins/antiphon-companion \
            --editable plugins/antiphon-sound --editable plugins/antiphon-more --editable models &&
        pip "antiphon[kernels${extra:+,$extra}]" antiphon-companion antiphon-sound antiphon-more \
            "antiphon-lab${extra:+[bench]}"; } 2>&1 || touch "$log/failed"
} | tee "$log/pip" >&2
if [ -e "$log/failed" ]; then explain "$log/pip"; fi
if [ "$extra" = dev ]; then
    .venv/bin/python tools/install_models.py ${TORCH_INDEX:-} ||
        say "going on without torch: tests of models are skipped (make test TORCH_INDEX=address of an index of CPU builds)"
fi
# what does not compile is for other versions of Python
.venv/bin/python -m compileall -qq -j 0 .venv/lib || true
# the first start should not be the slow one: kernels are compiled now and kept in .venv
.venv/bin/python -m antiphon plugins >/dev/null || fail "Antiphon is installed and does not start (see above)"
touch .venv/.ready
if [ -n "$extra" ]; then touch ".venv/.ready-$extra"; fi
