#!/bin/sh
# Runs a command in an unpacked image as a container runtime would: a root that cannot be written, a tmpfs at /tmp, process
# and mount namespaces of its own, user 10001 without capabilities or new privileges. It shares the network. Needs root.
#   run_image.sh ROOT HOME DATA COMMAND…    ROOT: the image's files; HOME, DATA: folders, at /var/lib/antiphon and /tmp/data there
set -eu
if [ "${RUN_IMAGE_INSIDE:-}" != yes ]; then
    RUN_IMAGE_INSIDE=yes exec unshare --mount --pid --fork --kill-child sh "$0" "$@"
fi
root=$1 home=$2 data=$3
shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$home" "$root/var/lib/antiphon"
mount -t tmpfs -o size=512m,mode=1777 tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir "$root/tmp/data"
mount --bind "$data" "$root/tmp/data"
mount -o remount,ro,bind "$root"
chroot=$(command -v chroot)
cd "$root"
exec setpriv --no-new-privs env -i PATH=/opt/antiphon/bin:/usr/bin HOME=/var/lib/antiphon LANG=C.UTF-8 \
    ANTIPHON_HOME=/var/lib/antiphon ANTIPHON_PROXY=localhost ANTIPHON_DRAIN=5 ${TOKEN_PATH:+ANTIPHON_TOKEN_FILE=$TOKEN_PATH} \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 DASK_TEMPORARY_DIRECTORY=/tmp \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    "$chroot" --userspec=10001:10001 . /usr/bin/tini -- "$@"
