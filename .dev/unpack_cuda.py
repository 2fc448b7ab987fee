"""Unpacks one of NVIDIA's wheels and removes it: unpack_cuda.py WHEELS NAME DEST. Its files go to DEST/nvidia/..."""

import pathlib
import sys
import zipfile

wheels, name, destination = pathlib.Path(sys.argv[1]), sys.argv[2].replace("-", "_"), pathlib.Path(sys.argv[3])
wheel, = wheels.glob(f"{name}-*.whl")
with zipfile.ZipFile(wheel) as archive:
    for entry in archive.infolist():
        if entry.is_dir() or not entry.filename.startswith("nvidia/"):
            continue
        path = pathlib.Path(archive.extract(entry, destination))
        path.chmod(entry.external_attr >> 16 & 0o777 or 0o644)
wheel.unlink()
print(f"{wheel.name}: unpacked")
