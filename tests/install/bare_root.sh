#!/usr/bin/env bash
# Installs Triga, copies the tree into a minimal Debian 12 root that has LibTorch's libraries as pip lays them out, but no
# MPI, no Python and no library that we link, and trains there on one rank.
#
#   bare_root.sh BUILD_DIR ROOT PYTHON      ROOT is made by debootstrap when it is not there
set -euo pipefail
build=$1 root=$2 python=$3
limit_mb=50

fail() {
  echo "bare_root: $1" >&2
  exit 1
}

make_root() {
  if [[ -x $root/bin/bash ]]; then return; fi
  ((EUID == 0)) || fail "needs root (chroot, debootstrap)"
  command -v debootstrap >/dev/null || fail "needs debootstrap: apt-get install debootstrap"
  local mirror
  mirror=$(sed -n 's/^URIs: *//p; s/^deb \(http[^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | head -n 1) || true  # some of them are not there
  rm -rf "$root.part"
  debootstrap --variant=minbase bookworm "$root.part" ${mirror:+"$mirror"} >"$root.log" 2>&1 || fail "debootstrap failed: $root.log"
  mv "$root.part" "$root"
}

# site-packages/torch/lib and site-packages/nvidia, nothing of Python.
copy_torch() {
  local site_packages
  site_packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  rm -rf "$root/opt"
  mkdir -p "$root/opt/wheels/torch"
  cp -rL "$site_packages/torch/lib" "$root/opt/wheels/torch/"
  cp -rL "$site_packages/nvidia" "$root/opt/wheels/"
}

install_tree() {
  cmake --install "$build" --prefix "$root/opt/triga" >"$root.log" || fail "cmake --install failed: $root.log"
  local size_mb
  size_mb=$(du -sm "$root/opt/triga" | cut -f 1)
  echo "the tree has $size_mb MB"
  ((size_mb < limit_mb)) || fail "the tree has $size_mb MB; the limit is $limit_mb MB"
  # What a user of another machine does.
  ln -sfn /opt/wheels/torch/lib "$root/opt/triga/lib/torch"
  # The tree may lie anywhere.
  mv "$root/opt/triga" "$root/opt/moved"
}

in_root() {
  unshare --mount bash -c 'mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/tmp" && cp -r "$0/work" "$0/tmp/work" &&
    exec chroot "$0" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/tmp bash -ec "$1"' "$root" "$1"
}

write_experiment() {
  rm -rf "$root/work"
  mkdir -p "$root/work"
  for i in {1..400}; do echo "line $i: Déjà vu, the quick brown fox jumps over the lazy dog"; done >"$root/work/text.txt"
  cat >"$root/work/small.yaml" <<'YAML'
name: small
model: {plugin: transformer, kind: gpt2, config: {num_layers: 1, num_heads: 2, hidden_size: 32, context_length: 16}}
data:
  train: {kind: text, files: [text.txt]}
  tokenizer: {kind: wordpiece, vocab_size: 100}
train: {max_steps: 5, global_batch: {samples: 4}, microbatch_size: 4, seed: 1}
optimizer: {kind: adamw, learning_rate: 1.0e-3}
checkpoint: {every_steps: 5, keep_last: 1}
log: {every_steps: 1}
YAML
}

make_root
copy_torch
install_tree
write_experiment
in_root 'ls /usr/lib/*/libmpi* 2>/dev/null && exit 1; /opt/moved/bin/triga --version'
in_root '/opt/moved/bin/triga data list' | grep tinyshakespeare >/dev/null || fail "triga data list failed in the bare root"
in_root 'cd /tmp/work && /opt/moved/bin/triga train small.yaml && test "$(wc -l < runs/small/metrics.jsonl)" -ge 5 &&
  test -s runs/small/checkpoints/latest/model.safetensors && grep -qx deja runs/small/checkpoints/latest/vocab.txt' || fail "triga train failed in the bare root"
echo "bare_root: passed"
