# Words and progress of ./dev: every line that it prints goes through here. Logs of longer steps lie in .deps/log/.

say() { printf '[dev] %s\n' "$*"; }

fail() {
  printf '[dev] error: %s\n' "$1" >&2
  shift
  if (($#)); then printf '[dev]   %s\n' "$@" >&2; fi
  exit 1
}

# progress TEXT: one line that is rewritten on a terminal; elsewhere one line now and then.
progress() {
  if [[ -t 1 ]]; then
    printf '\r\033[K[dev]   %s' "${1:0:$((${COLUMNS:-100} - 10))}"
  elif ((SECONDS >= ${next_progress:-0})); then
    say "  $1"
    next_progress=$((SECONDS + 20))
  fi
}

end_progress() { if [[ -t 1 ]]; then printf '\r\033[K'; fi; }

# try_logged NAME STATUS_FUNCTION COMMAND...: runs a command with its output in .deps/log/NAME.log; meanwhile shows what
# STATUS_FUNCTION prints. Returns the command's status.
try_logged() {
  local log=$deps/log/$1.log status_of=$2 pid started=$SECONDS
  shift 2
  mkdir -p "$deps/log"
  trap 'kill -- $(jobs -p | sed s/^/-/) 2>/dev/null; end_progress; exit 130' INT TERM
  set -m  # a process group of its own, so that an interruption ends all of it
  "$@" </dev/null >"$log" 2>&1 &
  set +m
  pid=$!
  next_progress=$((SECONDS + 20))
  while kill -0 "$pid" 2>/dev/null; do
    if ((SECONDS > started + 1)); then progress "$("$status_of" "$log") ($((SECONDS - started)) s)"; fi
    sleep 0.2
  done
  trap - INT TERM
  end_progress
  wait "$pid"
}

last_line() { tail -n 1 "$1" | tr -d '\r' | cut -c 1-80; }

# run_logged NAME WHAT COMMAND...: the same, shows the log's last line, and ends ./dev with the log's end when it fails.
run_logged() {
  local name=$1 what=$2
  shift 2
  if try_logged "$name" last_line "$@"; then return; fi
  tail -n 25 "$deps/log/$name.log" >&2
  if no_space "$deps/log/$name.log"; then fail "$what: the disk is full"; fi
  fail "$what failed; the whole output is in .deps/log/$name.log"
}

no_space() { grep -q 'No space left on device' "$1"; }

# need_disk MEGABYTES WHAT
need_disk() {
  local free
  mkdir -p "$deps"
  free=$(($(df -Pk "$deps" | awk 'NR == 2 {print $4}') / 1024))
  if ((free < $1)); then
    fail "$2 needs $1 MB on the disk of $deps, which has $free MB free" "free some space, or move the checkout to a larger disk"
  fi
}
