#!/usr/bin/env bash
# The installed command finds what lies beside it.   installed_command.sh BUILD_DIR PREFIX
set -euo pipefail
build=$1 prefix=$2
rm -rf "$prefix" "$prefix-moved"
trap 'rm -rf "$prefix"' EXIT
cmake --install "$build" --prefix "$prefix" >/dev/null
(cd / && "$prefix/bin/triga" data list) | grep tinyshakespeare >/dev/null
(cd / && "$prefix/bin/triga" list) | grep '^plugin transformer' >/dev/null

# Two versions side by side: the modulefile lies beside each and finds its own tree, also after a move and through a link.
file=$(cd "$prefix" && echo share/modulefiles/triga/*)
version=${file##*/}
[[ $("$prefix/bin/triga" --version) == *"$version"* ]]
mv "$prefix" "$prefix-moved"
trap 'rm -rf "$prefix" "$prefix-moved"' EXIT
mkdir -p "$prefix/site/triga"
ln -s "$prefix-moved/$file" "$prefix/site/triga/$version"
for tree in "$prefix-moved/share/modulefiles" "$prefix/site"; do
  found=$(set +u; source /usr/share/modules/init/bash; module use "$tree"; module load triga; command -v triga; echo "$TRIGA_ROOT")
  [[ $found == "$prefix-moved/bin/triga"$'\n'"$prefix-moved" ]] || { echo "module load triga from $tree: $found"; exit 1; }
done
echo "installed_command: passed"
