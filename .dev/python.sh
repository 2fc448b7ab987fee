# The Python of the tests and benchmarks: .deps/venv with torch, transformers, diffusers and TensorBoard as pinned in torch.txt and
# python.txt, or the one that TRIGA_PYTHON names. The quickstart does not need it.

python_for_tests() { echo "${TRIGA_PYTHON:-$deps/venv/bin/python}"; }

need_python() {
  if [[ -n ${TRIGA_PYTHON-} ]]; then
    if ! "$TRIGA_PYTHON" -c 'import torch, transformers, diffusers, tensorboard, prometheus_client'; then
      fail "TRIGA_PYTHON=$TRIGA_PYTHON cannot import torch, transformers, diffusers, tensorboard and prometheus_client"
    fi
  elif ! is_current "$deps/venv/.made-from" "$torch_pins" "$root/.dev/python.txt" "$root/.dev/cuda_stubs.py"; then
    make_python
  fi
}

# The wheels are for Python 3.11, Debian 12's.
find_python() {
  local python
  for python in python3.11 python3 /usr/bin/python3; do
    if [[ $("$python" -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null) == "3 11" ]]; then
      echo "$python"
      return
    fi
  done
  fail "the tests need Python 3.11 (the pinned wheels are made for it), and there is none" \
    "or set TRIGA_PYTHON to a Python that has torch 2.11, transformers, diffusers, tensorboard and prometheus_client"
}

make_python() {
  local venv=$deps/venv python
  python=$(find_python)
  say "the tests' Python environment goes to .deps/venv (torch, transformers, diffusers, tensorboard: 120 MB to download, 1.6 GB on the disk)"
  need_disk 3000 "the Python environment"
  rm -rf "$venv"
  "$python" -m venv "$venv"
  download_torch_wheels
  local pip=("$venv/bin/pip" install --no-deps --require-hashes --no-compile --no-cache-dir --disable-pip-version-check --retries 5)
  TMPDIR=$deps run_logged pip-install "pip install" "${pip[@]}" --requirement "$root/.dev/python.txt"
  TMPDIR=$deps run_logged pip-install-torch "pip install torch" "${pip[@]}" --no-index --find-links "$deps/wheels" --requirement "$torch_pins"
  local site_packages
  site_packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  run_logged cuda-stubs "cuda_stubs.py" "$python" "$root/.dev/cuda_stubs.py" "$site_packages"
  # One copy of the largest library, and the wheel is not needed any more.
  if [[ -e $deps/torch/lib/libtorch_cpu.so ]]; then
    ln -f "$deps/torch/lib/libtorch_cpu.so" "$site_packages/torch/lib/libtorch_cpu.so"
    rm -rf "$deps/wheels"
  fi
  "$venv/bin/python" -c 'import torch, transformers, diffusers' || fail "the new Python environment cannot import torch"
  cat "$torch_pins" "$root/.dev/python.txt" "$root/.dev/cuda_stubs.py" >"$venv/.made-from"
}
