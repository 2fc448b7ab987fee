#!/usr/bin/env bash
# The header with the commit follows the checkout at every build, and is not touched while it is true.
#
#   write_commit.sh CMAKE SOURCES
set -euo pipefail
cmake=$1 script=$2/framework/cmake/WriteCommit.cmake
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
checkout=$folder/checkout header=$folder/commit.h
unset "${!GIT_@}"
export GIT_CEILING_DIRECTORIES=$folder  # no checkout around it counts

# expect TEXT WHEN: the header that the script writes now.
expect() {
  "$cmake" "-DSOURCES=$checkout" "-DHEADER=$header" -P "$script"
  if [[ $(<"$header") != "#define TRIGA_COMMIT \"$1\"" ]]; then
    echo "write_commit: $2: expected $1, got: $(<"$header")" >&2
    exit 1
  fi
}

commit() {
  git -C "$checkout" add .
  git -C "$checkout" -c user.name=test -c user.email=test@localhost commit --quiet -m "$1"
}

mkdir "$checkout"
expect unknown "no checkout"
git init --quiet "$checkout"
echo one >"$checkout/file"
commit first
first=$(git -C "$checkout" rev-parse --short=12 HEAD)
expect "$first" "a commit"
touch -d '2001-01-01' "$header"
expect "$first" "the same commit"
[[ $(stat -c %Y "$header") == $(date -d '2001-01-01' +%s) ]] || { echo "write_commit: a true header was written anew" >&2; exit 1; }
echo two >"$checkout/file"
expect "$first-dirty" "a changed file"
commit second
expect "$(git -C "$checkout" rev-parse --short=12 HEAD)" "the next commit"
echo "write_commit: passed"
