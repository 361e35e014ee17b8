# shellcheck shell=bash
# Shared functions of the scripts that download. Downloads are pinned, use pip, and go to a cache outside the checkout. A
# download is written to a `.partial-*` folder next to its destination and renamed when complete.

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

# An interruption removes the partial folder; the lock ends with the process.
interrupted() {
  # A second Ctrl-C must not stop the cleanup; the commands below inherit this.
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

# take_lock: allows one process at a time to use the cache. The kernel releases the lock when this process and its pip have
# ended, even if they were killed, so no other process runs while pip still writes.
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

# drop_lock: releases the lock, for example for a script that this one calls.
drop_lock() {
  [ -z "$locked" ] || exec 9>&-
  locked=""
}

# new_partial FOLDER: sets $partial to a new empty folder in FOLDER, and removes those of killed processes. Requires the lock.
new_partial() {
  mkdir -p "$1" || die "cannot create $1."
  rm -rf "$1"/.partial-*
  partial=$(mktemp -d "$1/.partial-XXXXXX") || die "cannot create a folder in $1: is the disk full?"
}

# need_space FOLDER MB WHAT: call it after new_partial, which can free space.
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
  # Use the real interpreter: python3 can be a wrapper (as in pyenv), and an interruption would end only the wrapper.
  if ! { python=$(python3 -c 'import sys; print(sys.executable)') && "$python" -m pip --version; } >/dev/null 2>&1; then
    die "python3 has no pip; it is needed once, to download $1. $install"
  fi
}

# pip_get download|install FOLDER REQUIREMENTS: puts the pinned wheels into FOLDER, verified by SHA-256. The wheels do not
# depend on the version of the local Python.
pip_get() {
  local platforms=() n
  for n in $(seq 28 -1 5); do platforms+=(--platform "manylinux_2_${n}_x86_64"); done
  platforms+=(--platform manylinux2014_x86_64 --platform manylinux2010_x86_64 --platform manylinux1_x86_64)
  local into=(--target "$2" --no-compile)
  [ "$1" = install ] || into=(--dest "$2")
  run_pip "$python" "$1" --no-deps --require-hashes --python-version 3.12 --implementation cp --abi cp312 \
    "${platforms[@]}" "${into[@]}" -r "$3"
}

# run_pip PYTHON ARGUMENTS…: requires $partial.
run_pip() {
  local python=$1 log="$partial/pip.log"
  shift
  mkdir -p "$partial/tmp" || die "cannot create a folder in $partial: is the disk full?"
  # pip unpacks in TMPDIR. This one is on the disk whose space was checked, and is removed with the partial folder.
  # PIP_USER and PIP_REQUIRE_VIRTUALENV override settings in pip.conf that are incompatible with a target folder.
  # In the background, because bash handles an interruption only when no command runs in the foreground.
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
