"""Takes from the torch wheel (and two NVIDIA wheels) only what a C++ program without GPU needs, or only the rest.

    unpack_torch.py [--cuda] WHEELS DEST

DEST/include, DEST/lib    headers; libtorch_cpu, libc10, and the three libraries that these need
DEST/python/torch         the wheel's Python sources (43 MB): never run, the quickstart's real text
DEST/LICENSE ...          as the wheel has them
--cuda: DEST/lib          what only a program with a GPU needs (1.3 GB)
"""

import pathlib
import re
import shutil
import sys
import zipfile

# wheel name -> [(pattern of a path in the wheel, where it goes)]
PARTS = {
    "torch": [
        (r"torch/(include/.+)", r"\1"),
        (r"torch/(lib/(libtorch_cpu\.so|libc10\.so|libgomp\.so\.1))", r"\1"),
        (r"(torch/.+\.py)", r"python/\1"),
        (r"torch-.*\.dist-info/(?:licenses/)?(LICENSE|NOTICE)", r"\1"),
    ],
    "nvidia_cuda_runtime": [(r".+/(libcudart\.so\.13)", r"lib/\1")],
    "nvidia_cuda_cupti": [(r".+/(libcupti\.so\.13)", r"lib/\1")],
}
CUDA_PARTS = {"torch": [(r"torch/(lib/(libtorch_cuda|libc10_cuda|libtorch_nvshmem|libtorch_cuda_linalg|libcaffe2_nvrtc)\.so)", r"\1")]}


def unpack(wheel, parts, destination):
    total = 0
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            for pattern, target in parts:
                if not entry.is_dir() and (found := re.fullmatch(pattern, entry.filename)):
                    path = destination / found.expand(target)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(entry) as source, open(path, "wb") as out:
                        shutil.copyfileobj(source, out, 1 << 20)
                    total += entry.file_size
                    break
    print(f"{wheel.name}: {total / 1e6:.0f} MB", flush=True)


def main():
    with_cuda = sys.argv[1] == "--cuda"
    wheels, destination = map(pathlib.Path, sys.argv[-2:])
    for name, parts in (CUDA_PARTS if with_cuda else PARTS).items():
        wheel, = wheels.glob(f"{name}-*.whl")
        unpack(wheel, parts, destination)
    for library in ("libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"):
        if not (destination / "lib" / library).exists():
            raise SystemExit(f"unpack_torch.py: the wheels hold no {library}")


if __name__ == "__main__":
    main()
