# System packages: packages.txt says what is needed and how to see that it is there. Looks for the thing itself, not for
# the package, so that tools from elsewhere (another distribution, ~/.local, modules) count.

is_there() {
  local path
  case $1 in
    python:*) python3 -c "import ${1#python:}" 2>/dev/null ;;
    /*) [[ -e $1 ]] ;;
    *.h | *.hpp)
      for path in /usr/include /usr/local/include "/usr/include/$(uname -m)-linux-gnu" ${CPATH:+"${CPATH//:/ }"}; do
        if [[ -e $path/$1 ]]; then return 0; fi
      done
      return 1
      ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

# missing_packages PART...: names of the packages of these parts that are not there.
missing_packages() {
  local package probe part
  while read -r package probe part; do
    if [[ $package != '#'* && " $* " == *" $part "* ]] && ! is_there "$probe"; then echo "$package"; fi
  done <"$root/.dev/packages.txt"
}

# as_root: how to run a command as root here; fails where that is impossible without asking.
as_root() {
  if ((EUID == 0)); then
    echo env
  elif command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
    echo sudo
  else
    return 1
  fi
}

need_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  if ((${#missing[@]} == 0)); then return; fi
  local become command="apt-get install --no-install-recommends ${missing[*]}"
  if ! command -v apt-get >/dev/null; then
    fail "missing on this system, and there is no apt-get to install it: ${missing[*]}" \
      "these are Debian's names; install the same things with this system's package manager"
  fi
  if ! become=$(as_root); then
    fail "missing packages: ${missing[*]}" "this user cannot install them; as root: $command"
  fi
  install_packages "$become" "${missing[@]}"
  mapfile -t missing < <(missing_packages "$@")
  if ((${#missing[@]})); then
    fail "apt-get succeeded, yet these are still not found: ${missing[*]}" ".dev/packages.txt says where each was looked for"
  fi
}

install_packages() {
  local become=$1
  shift
  say "installing $# system packages with apt-get: $*"
  if [[ $become == sudo ]]; then sudo -v; fi  # asks for the password here, where it is seen
  local apt=("$become" DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 -o Dpkg::Use-Pty=0)
  if ! try_logged apt-update last_line "${apt[@]}" update; then
    tail -n 5 "$deps/log/apt-update.log" >&2
    fail "apt-get update failed: is there a network, and are apt's sources right?" "the output is in .deps/log/apt-update.log"
  fi
  say "  to download: $(LC_ALL=C "${apt[@]}" --no-install-recommends --assume-no install "$@" 2>/dev/null |
    sed -n 's/^Need to get \(.*\) of archives.*/\1/p; s/^After this operation, \(.*\) of additional.*/on the disk: \1/p' | paste -sd, -)"
  run_logged apt-install "apt-get install" "${apt[@]}" --no-install-recommends --yes install "$@"
}
