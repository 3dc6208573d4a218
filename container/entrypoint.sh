#!/bin/sh
# What a container needs before trainwatt starts: a data volume that can be written, a temporary
# folder in it (nothing else has to be writable), and a name for a user id that the image does not
# know.
set -eu

refuse() {
  echo "trainwatt: $*" >&2
  exit 2
}

must_be_writable() {
  if [ ! -w "$1" ] || [ ! -x "$1" ]; then
    owner=$(stat -c %u:%g "$1" 2>/dev/null || echo none)
    refuse "$1 (owner $owner) cannot be written by user $(id -u):$(id -g):" \
      "use a volume that this user can write, or run with --user and the owner's ids"
  fi
}

case "${1:-}" in
  serve | run | api | worker) ;;
  *) exec trainwatt "$@" ;; # talks to a service, or prints help: needs no data
esac

must_be_writable "$TRAINWATT_DATA_DIR"
mkdir -p "$TMPDIR"
must_be_writable "$TMPDIR"
if [ -d "$TRAINWATT_DATA_DIR/postgres" ]; then
  must_be_writable "$TRAINWATT_DATA_DIR/postgres"
fi
if [ "$(id -u)" = 0 ] && ! setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null; then
  refuse "PostgreSQL does not run as root, and this root may not change users:" \
    "leave --user out, or give back the capabilities SETUID, SETGID and CHOWN"
fi

# What an earlier container left is removed, unless another one is alive on the same volume: the
# open folder, and with it the lock, goes on to the process that takes over.
exec 9<"$TMPDIR"
if flock --exclusive --nonblock 9 && [ "$TMPDIR" = "$TRAINWATT_DATA_DIR/tmp" ]; then
  find "$TMPDIR" -mindepth 1 -delete
fi
flock --shared 9

if ! getent passwd "$(id -u)" >/dev/null; then # PostgreSQL insists on a name
  names=$TMPDIR/passwd-$(id -u)
  echo "user$(id -u):x:$(id -u):$(id -g)::$HOME:/usr/sbin/nologin" >"$names"
  export LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD="$names" NSS_WRAPPER_GROUP=/etc/group
fi

exec trainwatt "$@"
