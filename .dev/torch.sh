# LibTorch: .deps/torch (include/, lib/, python/: the wheel's Python sources) from the wheels pinned in torch.txt, or the
# one that TRIGA_TORCH names. .deps/text links to Python sources, the text that the quickstart learns from.

torch_dir=${TRIGA_TORCH:-$deps/torch}
torch_pins=$root/.dev/torch.txt

need_torch() {
  if [[ -n ${TRIGA_TORCH-} ]]; then
    use_given_torch
  elif ! is_current "$deps/torch/.made-from" "$torch_pins"; then
    make_torch
  fi
  link_text
}

# is_current STAMP PINS...: a stamp holds the content of the pins that something was made from.
is_current() { [[ -e $1 ]] && cat "${@:2}" | cmp -s - "$1"; }

use_given_torch() {
  local version header=$TRIGA_TORCH/include/torch/headeronly/version.h
  if [[ ! -e $TRIGA_TORCH/lib/libtorch_cpu.so || ! -e $header ]]; then
    fail "TRIGA_TORCH=$TRIGA_TORCH is not a LibTorch: it must hold include/ and lib/libtorch_cpu.so" \
      "in a Python environment with torch it is: python3 -c 'import torch, os; print(os.path.dirname(torch.__file__))'"
  fi
  torch_dir=$(cd "$called_from" && realpath "$TRIGA_TORCH")
  version=$(awk '/define TORCH_VERSION_(MAJOR|MINOR) / {v = v "." $3} END {print substr(v, 2)}' "$header")
  if [[ $version != 2.11 ]]; then fail "TRIGA_TORCH=$TRIGA_TORCH is version $version; Triga is built with 2.11"; fi
}

make_torch() {
  say "LibTorch goes to .deps/torch (546 MB to download, 1.1 GB on the disk with the wheel)"
  need_disk 2200 "LibTorch"
  download_torch_wheels
  say "unpacking what is needed without a GPU: headers, libtorch_cpu, libc10, the wheel's Python sources"
  rm -rf "$deps/torch.part"
  run_logged unpack-torch "unpacking LibTorch" python3 "$root/.dev/unpack_torch.py" "$deps/wheels" "$deps/torch.part"
  cp "$torch_pins" "$deps/torch.part/.made-from"
  rm -rf "$deps/torch"
  mv "$deps/torch.part" "$deps/torch"
}

# One wheel at a time, so that after an interruption the finished ones are kept.
download_torch_wheels() {
  local pin
  mkdir -p "$deps/wheels"
  while read -r pin; do
    if [[ $pin != '#'* ]] && ! have_wheel "$pin"; then download_wheel "$pin"; fi
  done <"$torch_pins"
}

# have_wheel PIN: a wheel with the pinned hash lies in .deps/wheels.
have_wheel() {
  local name=${1%%==*} sum=${1##*sha256:} file
  for file in "$deps/wheels/${name//-/_}"-*.whl; do
    if [[ -e $file ]] && sha256sum --check --status <<<"${sum%% *}  $file"; then return 0; fi
  done
  return 1
}

# download_wheel "NAME==VERSION --hash=sha256:... # MEGABYTES": three attempts. Any Python's pip can fetch it: the wheel is
# chosen by the platform named here, not by the Python that runs pip.
download_wheel() {
  local pin=$1 part=$deps/wheels.part attempt log
  local pip=(python3 -m pip download --no-deps --only-binary=:all: --require-hashes --no-cache-dir --progress-bar off
    --disable-pip-version-check --python-version 3.11 --implementation cp --platform manylinux_2_28_x86_64
    --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_18_x86_64
    --platform manylinux2014_x86_64)
  wheel_name=${pin%% *} wheel_megabytes=${pin##*# }
  for attempt in 1 2 3; do
    rm -rf "$part"
    mkdir -p "$part"
    echo "$pin" >"$part/pin.txt"
    say "downloading ${wheel_name/==/ } ($wheel_megabytes MB)$( ((attempt > 1)) && echo ", attempt $attempt of 3")"
    log=download-${pin%%==*}
    if try_logged "$log" downloaded env TMPDIR="$part" "${pip[@]}" --dest "$part/done" --requirement "$part/pin.txt"; then
      mv "$part"/done/*.whl "$deps/wheels/"
      rm -rf "$part"
      return
    fi
    explain_download "$deps/log/$log.log"
    sleep $((attempt * 3))
  done
  fail "$wheel_name could not be downloaded; what is there already is kept, './dev setup' goes on from here" \
    "is there a network? behind a proxy, set https_proxy; with a package mirror, configure pip ('pip config list')" \
    "or set TRIGA_TORCH to a LibTorch 2.11 that this machine has"
}

# What pip has written so far into its temporary folder.
downloaded() {
  local megabytes
  megabytes=$(($(du -sb "$deps/wheels.part" 2>/dev/null | cut -f 1) / 1000000))
  echo "$((megabytes < wheel_megabytes ? megabytes : wheel_megabytes)) of $wheel_megabytes MB"
}

# Ends ./dev where another attempt is useless.
explain_download() {
  grep -E '^ERROR|Error|error' "$1" | tail -n 2 | cut -c 1-300 >&2 || true
  if no_space "$1"; then fail "the disk of $deps is full"; fi
  if grep -q 'DO NOT MATCH THE HASHES' "$1"; then
    fail "$wheel_name came with a wrong hash: not the file that Triga was tested with" "see .deps/log/$(basename "$1")"
  fi
}

# Python sources as text: the wheel's own where there are any, else those of this machine's Python.
link_text() {
  local target=$torch_dir
  if [[ -d $torch_dir/python ]]; then
    target=$torch_dir/python
  elif [[ ! -e $torch_dir/nn/functional.py ]]; then
    target=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
    if [[ ! -e $deps/text ]]; then
      say "this LibTorch has no Python sources; the quickstart reads those in $target (its losses differ from the README's)"
    fi
  fi
  mkdir -p "$deps"
  if [[ $(readlink "$deps/text") != "$target" ]]; then ln -sfn "$target" "$deps/text"; fi
}
