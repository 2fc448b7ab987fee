"""safetensors and huggingface_hub, with PyTorch's tensors, against Triga's reader and writer: the same names, dtypes, shapes
and bytes both ways, in one file and in shards; and the line that Triga prints to convert a pickle does so."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import torch
from huggingface_hub import save_torch_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "U16": torch.uint16,
    "U32": torch.uint32, "U64": torch.uint64, "BOOL": torch.bool, "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn, "C64": torch.complex64,
}  # fmt: skip


def bytes_of(tensor):
    return bytes(tensor.contiguous().view(-1).view(torch.uint8).tolist()) if tensor.numel() else b""


def bits(tensors):
    """{name: (dtype, shape, bytes)}, which can be compared where tensors of float8 cannot."""
    words = {dtype: word for word, dtype in DTYPES.items()}
    return {name: (words[t.dtype], list(t.shape), bytes_of(t)) for name, t in tensors.items()}


def read_with_triga(program, folder, stem):
    run = subprocess.run([program, "read", folder, stem], stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        return run.stdout
    rows = (line.split("\t") for line in run.stdout.splitlines())
    return {name: (dtype, json.loads(shape), bytes.fromhex(data)) for name, dtype, shape, data in rows}


def expected_from_triga():
    tensors = {}
    for i, (word, dtype) in enumerate(DTYPES.items()):
        values = torch.arange(2 * (3 + i), dtype=torch.float32).view(2, 3 + i)
        if word == "BOOL" or word.startswith("F8"):
            values = values.remainder(2)
        tensors["layer." + word] = values.to(dtype)
    return tensors | {"scalar": torch.tensor(7.0), "empty": torch.zeros(0, 3)}


def random_tensors():
    torch.manual_seed(1)
    tensors = {}
    for word, dtype in DTYPES.items():
        size = torch.empty(0, dtype=dtype).element_size()
        data = torch.randint(0, 2 if word == "BOOL" else 256, (15 * size,), dtype=torch.uint8)
        tensors[f'{word} \N{GREEK SMALL LETTER ALPHA}"\\'] = data.view(dtype).view(3, 5)
    return tensors | {"scalar": torch.tensor(2.5), "none": torch.zeros(4, 0)}


def check_python_reads_triga(program, folder):
    subprocess.run([program, "write", folder], check=True)
    expected = bits(expected_from_triga())
    assert bits(load_file(folder / "whole.safetensors")) == expected
    with safe_open(folder / "whole.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
    index = json.loads((folder / "sharded.safetensors.index.json").read_text())
    shards = sorted(set(index["weight_map"].values()))
    assert len(shards) > 3 and sorted(p.name for p in folder.glob("sharded-*.safetensors")) == shards
    loaded = {shard: bits(load_file(folder / shard)) for shard in shards}
    assert {name: loaded[shard][name] for name, shard in index["weight_map"].items()} == expected
    assert sum(map(len, loaded.values())) == len(expected)
    assert index["metadata"]["total_size"] == sum(len(data) for _, _, data in expected.values())


def check_triga_reads_python(program, folder):
    tensors = random_tensors()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt", "more": "\u03b1"})
    assert read_with_triga(program, folder, "model") == bits(tensors)


def check_triga_reads_shards(program, folder):
    tensors = {f"layers.{i}.weight": torch.randn(20, 10) for i in range(7)}
    save_torch_state_dict(tensors, folder, max_shard_size=2000)
    assert len(list(folder.glob("model-*-of-*.safetensors"))) > 2
    assert read_with_triga(program, folder, "model") == bits(tensors)


def check_printed_line_converts(program, folder):
    weight = torch.randn(4, 3)
    tied = {"wte": weight, "head": weight, "transposed": weight.t()}
    torch.save(tied, folder / "pytorch_model.bin")
    message = read_with_triga(program, folder, "model")
    line = re.search(r"^ *python3 (-c .*)$", message, re.M).group(1)
    subprocess.run(f"{sys.executable} {line}", shell=True, check=True)
    assert read_with_triga(program, folder, "model") == bits(tied)


if __name__ == "__main__":
    for check in (check_python_reads_triga, check_triga_reads_python, check_triga_reads_shards,
                  check_printed_line_converts):  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            check(sys.argv[1], pathlib.Path(folder))
