#!/usr/bin/env bash
# The installed command finds what lies beside it.   installed_command.sh BUILD_DIR PREFIX
set -euo pipefail
build=$1 prefix=$2
rm -rf "$prefix"
trap 'rm -rf "$prefix"' EXIT
cmake --install "$build" --prefix "$prefix" >/dev/null
(cd / && "$prefix/bin/triga" data list) | grep tinyshakespeare >/dev/null
(cd / && "$prefix/bin/triga" list) | grep '^plugin transformer' >/dev/null
echo "installed_command: passed"
