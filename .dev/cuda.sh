# CUDA, for `./dev build --cuda`: a toolkit (this machine's, or NVIDIA's wheels pinned in cuda.txt, into .deps/nvidia) and
# what of LibTorch only a GPU needs. libtorch_cuda looks for its libraries in ../../nvidia/*/lib, then where the system does.

cuda_pins=$root/.dev/cuda.txt

# The toolkit of this build, or nothing. What is here already is used without being asked: so CI compiles it.
find_cuda() {
  local folder
  if [[ -n ${TRIGA_CUDA-} && $TRIGA_CUDA != wheels ]]; then
    echo "$TRIGA_CUDA"
    return
  fi
  if [[ -e $deps/nvidia/cu13/bin/nvcc && -e $deps/nvidia/nccl/lib/libnccl.so.2 ]]; then
    echo "$deps/nvidia/cu13"
    return
  fi
  if [[ ${TRIGA_CUDA-} == wheels ]]; then return; fi
  for folder in /usr/local/cuda /usr/local/cuda-13*; do
    if [[ -e $folder/bin/nvcc && -e $folder/include/nccl.h ]] && "$folder/bin/nvcc" --version | grep -q 'release 13\.'; then
      echo "$folder"
      return
    fi
  done
}

has_torch_cuda() { [[ -e $torch_dir/lib/libtorch_cuda.so && -e $torch_dir/lib/libc10_cuda.so ]]; }

# For a build that was not asked for CUDA: the toolkit if it costs nothing to use it.
cuda_for_build() {
  local toolkit site_packages=$deps/venv/lib/python3.11/site-packages library
  toolkit=$(find_cuda)
  if [[ -z $toolkit ]]; then return; fi
  if [[ -z ${TRIGA_TORCH-} && -e $site_packages/torch/lib/libtorch_cuda.so ]]; then
    for library in libtorch_cuda libc10_cuda libtorch_nvshmem libtorch_cuda_linalg libcaffe2_nvrtc; do
      ln -f "$site_packages/torch/lib/$library.so" "$torch_dir/lib/$library.so"
    done
  fi
  if has_torch_cuda; then echo "$toolkit"; fi
}

need_cuda() {
  local toolkit
  if ! has_torch_cuda && [[ -z $(cuda_for_build) ]]; then need_torch_cuda; fi
  toolkit=$(find_cuda)
  if [[ -z $toolkit ]]; then
    say "a CUDA toolkit goes to .deps/nvidia (300 MB to download)"
    need_disk 1500 "the CUDA toolkit"
    need_cuda_wheels compile
  fi
  need_cuda_libraries
}

need_torch_cuda() {
  if [[ -n ${TRIGA_TORCH-} ]]; then fail "TRIGA_TORCH=$TRIGA_TORCH has no libtorch_cuda.so: it was built without CUDA"; fi
  say "LibTorch's CUDA libraries go to .deps/torch (from the torch wheel; 1.3 GB on the disk)"
  need_disk 3000 "LibTorch with CUDA"
  download_torch_wheels
  run_logged unpack-torch-cuda "unpacking LibTorch" python3 "$root/.dev/unpack_torch.py" --cuda "$deps/wheels" "$deps/torch"
}

# What libtorch_cuda still misses, looked for as the loader does.
need_cuda_libraries() {
  local missing
  missing=$(missing_cuda_libraries)
  if [[ -n $missing ]]; then
    say "libraries that a GPU needs go to .deps/nvidia:" $missing
    need_disk 6000 "CUDA libraries"
    need_cuda_wheels $missing
    missing=$(missing_cuda_libraries)
    if [[ -n $missing ]]; then fail "libtorch_cuda.so still misses" $missing; fi
  fi
}

missing_cuda_libraries() {
  ldd "$torch_dir/lib/libtorch_cuda.so" | awk '/not found/ && !/libcuda\.so\.1/ {print $1}' | sort -u | tr '\n' ' '
}

# need_cuda_wheels WHAT...: the wheels of cuda.txt whose third column is one of these.
need_cuda_wheels() {
  local what pin
  mkdir -p "$deps/wheels"
  for what in "$@"; do
    while read -r pin; do
      if [[ $pin == *" # $what # "* ]]; then
        if ! have_wheel "$pin"; then download_wheel "$pin"; fi
        run_logged unpack-cuda "unpacking" python3 "$root/.dev/unpack_cuda.py" "$deps/wheels" "${pin%%==*}" "$deps"
      fi
    done <"$cuda_pins"
  done
}
