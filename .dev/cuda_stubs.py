"""Lets `import torch` work on a machine without GPU, without NVIDIA's 2.5 GB of libraries.

The torch wheel's own libraries name cuBLAS, cuDNN, NCCL, ... as needed, but a process that computes on the CPU calls
none of them. For each needed library that is not there, this writes a small one of the same name beside torch's own:
it defines the (versioned) symbols that torch refers to, and each of them ends the process with a message.

    cuda_stubs.py SITE_PACKAGES        writes SITE_PACKAGES/torch/lib/lib*.so.N
"""

import pathlib
import re
import subprocess
import sys
import tempfile

# Always there: glibc and the compiler's run-time libraries.
SYSTEM = re.compile(r"(ld-linux-x86-64|libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+)\.so\.\d+$")

REFUSE = """
#include <stdlib.h>
#include <unistd.h>
void triga_refuse(void) {
  static const char kText[] =
      "This Python environment computes on the CPU only: a function of a GPU library was called (see .dev/cuda_stubs.py).\\n";
  if (write(2, kText, sizeof kText - 1) < 0) abort();
  abort();
}
"""


def readelf(library, *options):
    return subprocess.run(["readelf", "-W", *options, library], check=True, capture_output=True, text=True).stdout


def prefix(soname):
    return re.match(r"lib([a-zA-Z]+)", soname)[1].lower()


def needed_from(folder, *roots):
    """Names of all libraries that `roots` need, directly or through libraries in `folder`, and those in `folder`."""
    names, todo = set(), list(roots)
    while todo:
        name = todo.pop()
        if name not in names:
            names.add(name)
            if (folder / name).exists():
                todo += re.findall(r"NEEDED.*\[(.+)\]", readelf(folder / name, "-d"))
    return names


def symbols_by_soname(libraries, missing):
    """For each missing library: {symbol: version or None} that `libraries` refer to."""
    wanted = {soname: {} for soname in missing}
    for library in libraries:
        file_of_version, file = {}, None
        for line in readelf(library, "-V").splitlines():
            if found := re.search(r"Version: 1\s+File: (\S+)", line):
                file = found[1]
            elif (found := re.search(r"Name: (\S+)\s+Flags:", line)) and file in wanted:
                file_of_version[found[1]] = file
        for line in readelf(library, "--dyn-syms").splitlines():
            if not (found := re.search(r" GLOBAL +DEFAULT +UND ([^@\s]+)(?:@(\S+))?", line)):
                continue
            symbol, version = found[1], found[2]
            if version is None:  # a library without versions: known by the prefix of its functions
                owner = max((name for name in wanted if symbol.lower().startswith(prefix(name))), key=len, default=None)
            else:
                owner = file_of_version.get(version)
            if owner:
                wanted[owner][symbol] = version or wanted[owner].get(symbol)
    return wanted


def write_stub(soname, symbols, folder):
    aliases = "".join(f'void {s}(void) __attribute__((alias("triga_refuse")));\n' for s in sorted(symbols))
    versions = {}
    for symbol, version in symbols.items():
        versions.setdefault(version, []).append(symbol)
    plain = versions.pop(None, [])
    if plain and versions:
        raise SystemExit(f"cuda_stubs.py: {soname} has symbols with and without a version: {plain[:3]}")
    script = "".join(f'{v} {{ global: {"; ".join(sorted(names))}; }};\n' for v, names in versions.items())
    with tempfile.TemporaryDirectory() as work:
        source, map_file = pathlib.Path(work, "stub.c"), pathlib.Path(work, "stub.map")
        source.write_text(REFUSE.replace("void triga", "static void triga") + aliases)
        map_file.write_text(script)
        link = [f"-Wl,--version-script={map_file}"] if script else []
        part = folder / f".{soname}.part"
        subprocess.run(["clang", "-shared", "-fPIC", "-O1", "-w", f"-Wl,-soname,{soname}", *link, "-o", part, source],
                       check=True)
        part.rename(folder / soname)


def main():
    site_packages = pathlib.Path(sys.argv[1])
    folder = site_packages / "torch" / "lib"
    needed = needed_from(folder, "libtorch_python.so", "libtorch_global_deps.so")
    elsewhere = {path.name for path in site_packages.glob("nvidia/*/lib/*")}
    libraries = sorted(folder / name for name in needed if (folder / name).exists())
    missing = sorted(name for name in needed
                     if not SYSTEM.match(name) and not (folder / name).exists() and name not in elsewhere)
    for soname, symbols in symbols_by_soname(libraries, missing).items():
        write_stub(soname, symbols, folder)
    print(f"{len(missing)} stand-ins for GPU libraries: {' '.join(missing)}")


if __name__ == "__main__":
    main()
