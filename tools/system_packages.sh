#!/bin/sh
# Installs the system packages a target needs, by apt, where that takes no password; else says which command does.
#   system_packages.sh play    PortAudio, libsndfile and espeak-ng; without them most works, so their lack is no failure
#   system_packages.sh real    jackd, PipeWire, mosquitto, SuperCollider, FluidSynth, Tidal, Chromium and FFmpeg too; exits 1 while it is missing
#   system_packages.sh containers    buildah and mmdebstrap; exits 1 while they are missing
#   system_packages.sh venv    what Debian takes out of Python; exits 1 while it is missing
set -u
group=${1:-play}
PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
export PATH DEBIAN_FRONTEND=noninteractive

case $group in
    play) packages="libportaudio2 libsndfile1 libespeak-ng1"
          without="Without them no sound card can be played, and nothing is sung; the software clock, files and OSC work." ;;
    real) packages="libportaudio2 libsndfile1 libespeak-ng1 jackd2 pipewire pipewire-jack mosquitto supercollider-server supercollider-language fluidsynth fluid-soundfont-gm ghc libghc-tidal-dev chromium ffmpeg"
          without="Without them the tests on real parts cannot run; make test can." ;;
    containers) packages="buildah mmdebstrap"
          without="Without them no image can be built here; docker or podman can, after make containers ARGS=wheels." ;;
    venv) packages="python3-venv"
          without="Without it no virtual environment can be made." ;;
    *) echo "usage: system_packages.sh play|real|containers|venv" >&2; exit 2 ;;
esac
if [ "$group" = play ]; then needed=0; else needed=1; fi

say() { printf 'antiphon: %s\n' "$*"; }

if [ "$(uname -s)" = Darwin ]; then
    # the wheels bring PortAudio and libsndfile with them there
    [ "$group" = real ] || exit 0
    command -v jackd >/dev/null && exit 0
    say "the tests on real parts need JACK: brew install jack (macOS is untested)"
    exit 1
fi
if ! command -v dpkg-query >/dev/null; then
    libraries=$(ldconfig -p 2>/dev/null || true)
    case $libraries in
        *libportaudio.so.2*) [ "$group" = play ] && exit 0 ;;
    esac
    say "this system has no apt: install what Debian calls $packages with its own package manager. $without"
    exit $needed
fi

missing=
for package in $packages; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
        *"ok installed") ;;
        *) missing="$missing $package" ;;
    esac
done
missing=${missing# }
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then as_root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root="sudo -n"
else
    say "system packages are missing; install them with: sudo apt-get install $missing. $without"
    exit $needed
fi

say "installing the system packages $missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    # jackd2 asks whether to let the audio group run in real time; noninteractive takes its default, no
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$log" 2>&1
}
# shellcheck disable=SC2086 # the list is meant to be split
if install update -qq && install install -y -qq --no-install-recommends $missing; then exit 0; fi
tail -n 3 "$log" >&2
say "apt could not install them (see above); try: sudo apt-get update && sudo apt-get install $missing. $without"
exit $needed
