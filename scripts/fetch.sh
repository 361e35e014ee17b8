# shellcheck shell=bash
# Sourced by the scripts that download something: how this project does it.
# Everything comes through pip, pinned, into a cache outside the checkout. A download is made in a `.partial-*` folder
# beside its destination and renamed when it is complete, so a half-made one is never used.

partial=""
locked=""

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  discard_partial
  say "$*"
  exit 1
}

discard_partial() {
  [ -z "$partial" ] || rm -rf "$partial"
  partial=""
}

# An interruption leaves nothing behind: the partial folder goes, and the lock with the process.
interrupted() {
  # A second Ctrl-C must not stop the cleaning up; the commands below inherit this.
  trap '' INT TERM HUP
  local child
  for child in $(jobs -p); do kill "$child" 2>/dev/null; done
  wait
  discard_partial
  say "interrupted; nothing half-made is left. Run it again to start over."
  exit 130
}
trap interrupted INT TERM HUP

[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] ||
  die "HOME is not set, so there is no place for a cache. Set XDG_CACHE_HOME to a folder for it."
cache="${XDG_CACHE_HOME:-${HOME:-}/.cache}/cresset"
[ "${cache:0:1}" = / ] || die "the cache would be in $cache, which is no absolute path. Set XDG_CACHE_HOME to one."

# take_lock: one process at a time works on the cache. The kernel drops the lock when this process and its pip have ended,
# however they end, so the next one never meets a pip that still writes.
take_lock() {
  [ -z "$locked" ] || return 0
  if ! { mkdir -p "$cache" && : >>"$cache/.lock"; } 2>/dev/null; then
    die "cannot write to $cache. Make it writable, or set XDG_CACHE_HOME to a folder that is."
  fi
  exec 9>>"$cache/.lock"
  if ! flock -n 9; then
    say "another process is working on $cache; waiting for it."
    flock 9 &
    wait $! || die "cannot lock $cache/.lock."
  fi
  locked=yes
}

# drop_lock: lets another process have it, such as a script that this one calls.
drop_lock() {
  [ -z "$locked" ] || exec 9>&-
  locked=""
}

# new_partial FOLDER: sets $partial to a new empty folder in FOLDER, and clears what killed processes left there.
# Call it with the lock held.
new_partial() {
  mkdir -p "$1" || die "cannot create $1."
  rm -rf "$1"/.partial-*
  partial=$(mktemp -d "$1/.partial-XXXXXX") || die "cannot create a folder in $1: is the disk full?"
}

# need_space FOLDER MB WHAT: call it after new_partial, which may free some.
need_space() {
  local free_mb
  free_mb=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
  [ "$free_mb" -ge "$2" ] ||
    die "$3 needs $2 MB in $1, which has $free_mb MB left. Free some space, or set XDG_CACHE_HOME to a folder on another disk."
}

# need_python WHAT OTHERWISE: sets $python.
need_python() {
  local install="Install it (Debian, Ubuntu: apt install python3-pip) or $2."
  command -v python3 >/dev/null || die "python3 was not found; it is needed once, to download $1. $install"
  # The interpreter itself: python3 may be a wrapper (pyenv's is), and an interruption would end that alone.
  if ! { python=$(python3 -c 'import sys; print(sys.executable)') && "$python" -m pip --version; } >/dev/null 2>&1; then
    die "python3 has no pip; it is needed once, to download $1. $install"
  fi
}

# pip_get download|install FOLDER REQUIREMENTS: the pinned wheels, checked by SHA-256, into FOLDER, the same whatever the
# local Python's version is.
pip_get() {
  local platforms=() n
  for n in $(seq 28 -1 5); do platforms+=(--platform "manylinux_2_${n}_x86_64"); done
  platforms+=(--platform manylinux2014_x86_64 --platform manylinux2010_x86_64 --platform manylinux1_x86_64)
  local into=(--target "$2" --no-compile)
  [ "$1" = install ] || into=(--dest "$2")
  run_pip "$python" "$1" --no-deps --require-hashes --python-version 3.12 --implementation cp --abi cp312 \
    "${platforms[@]}" "${into[@]}" -r "$3"
}

# run_pip PYTHON ARGUMENTS…: needs $partial.
run_pip() {
  local python=$1 log="$partial/pip.log"
  shift
  mkdir -p "$partial/tmp" || die "cannot create a folder in $partial: is the disk full?"
  # pip unpacks in TMPDIR: here that is the disk whose space was checked, and goes when the partial folder goes.
  # PIP_USER and PIP_REQUIRE_VIRTUALENV undo what a user's pip.conf may demand; neither goes with a folder of our own.
  # In the background, because bash acts on an interruption only when no command runs in the foreground.
  TMPDIR="$partial/tmp" PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 "$python" -m pip --quiet --disable-pip-version-check \
    --no-cache-dir "$@" --only-binary=:all: >"$log" 2>&1 &
  wait $! || explain_pip_failure "$log"
  rm -rf "$log" "$partial/tmp"
}

explain_pip_failure() {
  if grep -q 'No space left on device' "$1"; then
    die "the disk became full during the download. Free some space, or set XDG_CACHE_HOME to a folder on another disk."
  elif grep -q 'DO NOT MATCH THE HASHES' "$1"; then
    die "a downloaded file does not have the expected SHA-256 and was thrown away. Try again; if it happens again, something between here and the package index changes files."
  elif grep -qE 'from versions: none|Max retries|onnection broken|NewConnectionError|name resolution|Network is unreachable|timed out' "$1"; then
    die "the package index could not be reached, or has nothing for this machine. Check the network (or pip's proxy and index settings) and run it again."
  fi
  local last
  last=$(grep -E 'ERROR|rror:' "$1" | tail -n 1)
  die "pip failed: ${last:-$(tail -n 1 "$1")}"
}
