"""The benchmarks, by the names of the bars in docs/performance.md."""

import os
import shutil
import statistics
import time

from harness import BUILD, PYTHON, PYTORCH, TRIGA, Rows, Workplace, interleave, json_lines, run

SMALL = {"num_layers": 4, "num_heads": 4, "hidden_size": 128, "context_length": 64, "dropout": 0.1}
MEDIUM = {"num_layers": 12, "num_heads": 6, "hidden_size": 384, "context_length": 256, "dropout": 0.1}
LARGE_VOCABULARY = {"num_layers": 12, "num_heads": 6, "hidden_size": 384, "context_length": 256, "dropout": 0.1,
                    "vocab_size": 8192}  # 24.5 million parameters


LSTM = {"num_layers": 2, "embedding_size": 128, "hidden_size": 128, "context_length": 64, "dropout": 0.1}


def pytorch_options(model):
    if "embedding_size" in model:
        return {"model": "lstm", "layers": model["num_layers"], "width": model["hidden_size"], "context": model["context_length"],
                "dropout": model["dropout"]}
    return {"layers": model["num_layers"], "heads": model["num_heads"], "width": model["hidden_size"],
            "context": model["context_length"], "dropout": model["dropout"], "vocab": model.get("vocab_size", 257)}


def one_rank(rounds):
    """P1: the whole step on one rank, one thread: loader, forward, backward, clipping, AdamW, metrics."""
    rows = Rows()
    with Workplace() as place:
        for name, model, batch, steps, at_most, aim in (
                ("GPT 4 x 128, T 64, batch 1", SMALL, 1, 200, 0.75, 0.65),
                ("GPT 4 x 128, T 64, batch 12", SMALL, 12, 60, 0.90, 0.80),
                ("LSTM 2 x 128, T 64, batch 12", LSTM, 12, 100, 0.95, 0.85),
                ("GPT 12 x 384, T 256, batch 4", MEDIUM, 4, 10, 1.00, 0.92)):
            warmup = max(10, steps // 5 // 10 * 10)
            kind = "plugin: rnn, kind: rnn_language_model" if model is LSTM else "plugin: transformer, kind: gpt2"
            experiment = place.experiment(model, batch, steps + warmup, kind=kind)
            samples = interleave(
                rounds,
                triga=lambda: place.triga_seconds(experiment, 1, 1, warmup),
                pytorch=lambda: place.pytorch_seconds(1, 1, batch=batch, steps=steps, warmup=warmup, **pytorch_options(model)))
            place.check_losses(name)
            rows.add(name, "s/step", samples["triga"], samples["pytorch"], at_most, aim)
    return rows


def two_ranks(rounds):
    """P2: two ranks on one host, one thread each, against DDP over gloo (and FSDP2, without a bar)."""
    rows = Rows()
    with Workplace() as place:
        for name, time, batch, steps, at_most, aim in (("gradient-bound: T 64, batch 1 a rank", 64, 1, 30, 0.65, 0.50),
                                                       ("compute-bound: T 256, batch 4 a rank", 256, 4, 10, 0.98, 0.85)):
            model = {**LARGE_VOCABULARY, "context_length": time}
            experiment = place.experiment(model, batch, steps + 10, global_batch=2 * batch)
            options = {"batch": batch, "steps": steps, "warmup": 10, **pytorch_options(model)}
            samples = interleave(rounds, triga=lambda: place.triga_seconds(experiment, 2, 1, 10),
                                 ddp=lambda: place.pytorch_seconds(2, 1, parallel="ddp", **options),
                                 fsdp2=lambda: place.pytorch_seconds(2, 1, parallel="fsdp2", **options))
            place.check_losses(name)
            rows.add(name, "s/step", samples["triga"], samples["ddp"], at_most, aim, other_name="DDP over gloo")
            rows.add(name, "s/step", samples["triga"], samples["fsdp2"], other_name="FSDP2 over gloo")
    return rows


def all_reduce(rounds):
    """P3: all_reduce of fp32 on two ranks of one host, against gloo and against memory at the speed of STREAM's copy."""
    rows = Rows()
    sizes = [64 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20]
    samples = interleave(
        rounds,
        triga=lambda: json_lines(run(["mpirun", "-n", 2, "--bind-to", "none", BUILD / "bin" / "bench_all_reduce", 15, *sizes])),
        gloo=lambda: json_lines(run([PYTHON, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2,
                                     PYTORCH / "all_reduce.py", 15, *sizes], OMP_NUM_THREADS=1)))
    for i, size in enumerate(sizes):
        name = f"{size >> 10} KB" if size < 1 << 20 else f"{size >> 20} MB"
        ours = [statistics.median(one[i]["microseconds"]) for one in samples["triga"]]
        theirs = [statistics.median(one[i]["microseconds"]) for one in samples["gloo"]]
        rows.add(name, "us", ours, theirs, 0.33, 0.15, other_name="gloo")
        # Each rank reads its slice of both tensors and writes it into both: twice the tensor on each of two ranks.
        memory = [2 * 2 * size / one[i]["stream_bytes_per_second"] * 1e6 for one in samples["triga"]]
        rows.add(name, "us", ours, memory, 2.5, 1.6, other_name="memory traffic")
    return rows


def clip_and_update(rounds):
    """P6: clipping, AdamW and zeroing of 24.5 million parameters, one thread, against PyTorch's three calls and against copying."""
    rows = Rows()
    samples = interleave(rounds, triga=lambda: json_lines(run(["taskset", "-c", 0, BUILD / "bin" / "bench_clip_and_update", 15, 1]))[0],
                         pytorch=lambda: json_lines(run(["taskset", "-c", 0, PYTHON, PYTORCH / "clip_and_update.py", 15, 1]))[0])
    ours = [statistics.median(one["milliseconds"][3:]) for one in samples["triga"]]
    rows.add("clip + AdamW + zero", "ms", ours, [statistics.median(one["milliseconds"][3:]) for one in samples["pytorch"]],
             0.85, 0.70)
    rows.add("against 28 bytes a parameter at copy speed", "ms", ours,
             [statistics.median(one["copy_milliseconds"][3:]) for one in samples["triga"]], 1.2, 1.0, other_name="copying")
    return rows


UNET = {"sample_size": 28, "in_channels": 1, "block_out_channels": [32, 64, 64], "layers_per_block": 1, "norm_num_groups": 8,
        "down_block_types": ["DownBlock2D", "DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D", "UpBlock2D"], "dropout": 0.0, "beta_schedule": "squaredcos_cap_v2"}


def families(rounds):
    """P7: training throughput of a model of each family against the same model in PyTorch; one rank, one thread."""
    rows = Rows()

    def add(name, samples, unit, items):
        place.check_losses(name)
        rows.add(name, unit, *([items / seconds for seconds in samples[side]] for side in ("triga", "pytorch")), 0.98, 1.05,
                 at_least=True)

    with Workplace() as place:
        for name, model, batch, steps in (("rnn_language_model: LSTM 2 x 128, T 64, batch 12", LSTM, 12, 100),
                                          ("gpt2: 4 x 128, T 64, batch 12", SMALL, 12, 60)):
            kind = "plugin: rnn, kind: rnn_language_model" if model is LSTM else "plugin: transformer, kind: gpt2"
            experiment = place.experiment(model, batch, steps + 20, kind=kind)
            add(name, interleave(rounds, triga=lambda: place.triga_seconds(experiment, 1, 1, 20),
                                 pytorch=lambda: place.pytorch_seconds(1, 1, batch=batch, steps=steps, warmup=20,
                                                                       **pytorch_options(model))),
                "tokens/s", batch * model["context_length"])
        batch, steps = 16, 20
        experiment = place.images_experiment(UNET, batch, steps + 10)
        options = {"batch": batch, "steps": steps, "warmup": 10, "script": "unet.py"}
        add("ddpm: U-Net 32, 64, 64 on 28 x 28, batch 16",
            interleave(rounds, triga=lambda: place.triga_seconds(experiment, 1, 1, 10),
                       pytorch=lambda: place.pytorch_seconds(1, 1, **options)), "images/s", batch)
    return rows


def write_seconds(folder, place, repetitions=5):
    """Seconds to write the files of a folder again, each with fsync, and to sync their folder; the copy before goes afterwards."""
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    seconds = []
    for number in range(repetitions):
        copy = place.folder / f"copy-{number}"
        copy.mkdir()
        start = time.perf_counter()
        for i, content in enumerate(contents):
            with open(copy / str(i), "wb", buffering=0) as file:
                for begin in range(0, len(content), 1 << 20):
                    file.write(memoryview(content)[begin:begin + (1 << 20)])
                os.fsync(file.fileno())
        descriptor = os.open(copy, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        seconds.append(time.perf_counter() - start)
        shutil.rmtree(place.folder / f"copy-{number - 1}", ignore_errors=True)
    shutil.rmtree(copy)
    return statistics.median(seconds[1:])


def checkpoints(rounds):
    """P8: what a save takes from training: GPT 12 x 384 of 24.5 million parameters with AdamW (294 MB), one rank on all cores."""
    rows = Rows()
    with Workplace() as place:
        experiment = place.experiment({**LARGE_VOCABULARY, "context_length": 64}, 4, 140)
        settings = ("checkpoint.every_steps=20", "checkpoint.keep_last=1", "log.every_steps=1")
        files = []

        def triga(asynchronous):
            extra, folder = place.save_seconds(experiment, (*settings, f"checkpoint.asynchronous={asynchronous}"))
            files[:] = [folder]
            return statistics.median(extra)

        def torch_save():
            line = [PYTHON, PYTORCH / "save.py", place.folder, 6]
            for key, value in pytorch_options(LARGE_VOCABULARY).items():
                line += [f"--{key}", value]
            return statistics.median(json_lines(run(line))[0]["seconds"][1:])

        def beside():
            """No save, but `dd` that writes as many bytes in the same way: what the machine's disk takes from the steps."""
            megabytes = sum(path.stat().st_size for path in files[0].rglob("*") if path.is_file()) >> 20
            line = ["dd", "if=/dev/zero", f"of={place.folder / 'beside'}", "bs=1M", f"count={megabytes}", "oflag=direct", "conv=fsync"]
            return statistics.median(place.seconds_beside(experiment, ("log.every_steps=1",), line, 15))

        triga("true")  # warm; beside() needs the files
        samples = interleave(rounds, asynchronous=lambda: triga("true"), torch_save=torch_save, beside=beside)
        rows.add("asynchronous, extra time of all steps until it is there", "s", samples["asynchronous"], samples["torch_save"], 0.15,
                 0.05, other_name="torch.save, synchronous")
        rows.add("no save: dd writes as many bytes beside the steps (O_DIRECT)", "s", samples["beside"], samples["torch_save"],
                 other_name="torch.save, synchronous")
        samples = interleave(rounds, synchronous=lambda: triga("false"), written=lambda: write_seconds(files[0], place))
        rows.add("synchronous", "s", samples["synchronous"], samples["written"], 1.3, 1.1, other_name="writing the same bytes, fsync")
    return rows


def launch(rounds):
    """P9: from the command to the end of the first optimizer step, two ranks, warm, against torchrun with DDP."""
    rows = Rows()
    with Workplace() as place:
        experiment = place.experiment(SMALL, 12, 1000000, global_batch=24, extra="")
        options = [word for key, value in {"batch": 12, **pytorch_options(SMALL)}.items() for word in (f"--{key}", value)]

        def triga():
            return place.seconds_to_first_line([TRIGA, "launch", experiment, "--fresh", "-n", 2, "--run-dir",
                                                place.folder / "run", "--set", "log.every_steps=1"])

        def pytorch():
            start = time.time()
            line = [PYTHON, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2, PYTORCH / "train.py", "--text",
                    place.text, "--threads", 1, "--parallel", "ddp", "--first-step", *options]
            return json_lines(run(line, OMP_NUM_THREADS=1))[0]["first_step"] - start

        triga(), pytorch()  # warm
        samples = interleave(rounds, triga=triga, pytorch=pytorch)
        rows.add("command to first step", "s", samples["triga"], samples["pytorch"], 0.25, 0.15, other_name="torchrun + DDP")
    return rows


def overlap(rounds):
    """P4: what a step cannot hide of its communication on a link of 200 MB/s and 100 us; GPT 12 x 384, two ranks, T 256, batch 4."""
    rows = Rows()
    outputs = [json_lines(run(["mpirun", "-n", 2, "--bind-to", "none", BUILD / "bin" / "bench_overlap", 4])) for _ in range(rounds)]
    for i in (0, 1):
        exposed, standalone = [], []
        for output in outputs:
            one = output[i]
            exposed.append(statistics.median(w - o for w, o in zip(one["with"], one["without"])))
            standalone.append(one["standalone"])
        share = standalone[0] / statistics.median(outputs[0][i]["backward"])
        rows.add(f"zero {outputs[0][i]['zero']} (communication is {share:.2f} of backward)", "s", exposed, standalone, 0.30, 0.15,
                 other_name="communication alone")
    return rows


def scaling(rounds):
    """Scaling: one step of GPT 4 x 384, T 256, 12 samples in microbatches of 3, on 1 to 4 ranks of one thread, against one rank."""
    rows = Rows()
    with Workplace() as place:
        experiment = place.experiment({**MEDIUM, "num_layers": 4}, 3, 20, global_batch=12)
        samples = interleave(rounds, **{str(ranks): lambda ranks=ranks: place.triga_seconds(experiment, ranks, 1, 10)
                                        for ranks in (1, 2, 3, 4)})
        for ranks in (2, 3, 4):
            rows.add(f"{ranks} ranks on {os.cpu_count()} cores", "s/step", samples[str(ranks)], samples["1"], other_name="one rank")
    return rows


def pipeline(rounds):
    """P5: a pipeline's step against the ideal of its schedule, with stages that sleep 36 ms a microbatch; the bubble that zb_h1
    takes from 1f1b against what theory says; and a GPT 12 x 384 in two stages against torch.distributed.pipelining."""
    rows = Rows()

    def sleeping(ranks, schedule, chunks=1):
        line = ["mpirun", "-n", ranks, "--oversubscribe", "--bind-to", "none", BUILD / "bin" / "bench_pipeline", schedule, chunks,
                2 * ranks, 6]
        output = json_lines(run(line))[0]
        return statistics.median(output["seconds"][1:]), output["ideal"]

    for ranks in (2, 4, 8):
        samples = {}
        for schedule, chunks in (("gpipe", 1), ("1f1b", 1), ("interleaved_1f1b", 2), ("zb_h1", 1), ("zb_v", 2)):
            samples[schedule] = [sleeping(ranks, schedule, chunks) for _ in range(rounds)]
            rows.add(f"{schedule}, {ranks} ranks, {2 * ranks} microbatches", "s/step", [one[0] for one in samples[schedule]],
                     [one[1] for one in samples[schedule]], 1.10, 1.05, other_name="ideal")
        pairs = list(zip(samples["1f1b"], samples["zb_h1"]))
        rows.add(f"bubble that zb_h1 takes from 1f1b, {ranks} ranks", "s", [plain[0] - zero[0] for plain, zero in pairs],
                 [plain[1] - zero[1] for plain, zero in pairs], 0.5, at_least=True, other_name="theory")
    with Workplace() as place:
        experiment = place.experiment(MEDIUM, 1, 40, global_batch=8)
        settings = ("parallel.pp=2", "train.max_steps=8", "log.every_steps=1")
        other = {"steps": 6, "warmup": 2, "batch": 1, "microbatches": 8, **pytorch_options(MEDIUM)}
        samples = interleave(rounds, triga=lambda: place.triga_seconds(experiment, 2, 1, 2, settings),
                             pytorch=lambda: place.pytorch_seconds(2, 1, script="pipeline.py", **other))
        place.check_losses("pipeline", tolerance=0.3)  # so early they fall fast
        rows.add("GPT 12 x 384, T 256, 2 stages, 8 microbatches of 1", "s/step", samples["triga"], samples["pytorch"], 0.97, 0.85,
                 other_name="torch.distributed.pipelining")
    return rows


def plan(rounds):
    """What `triga plan` foresees against runs: seconds a step, for three models and three layouts on this machine."""
    rows = Rows()
    wide = {"num_layers": 6, "num_heads": 6, "hidden_size": 384, "context_length": 128, "dropout": 0.1}
    with Workplace() as place:
        for name, model, batch, global_batch, kind in (
                ("GPT 4 x 128, T 64", SMALL, 12, 48, "plugin: transformer, kind: gpt2"),
                ("GPT 6 x 384, T 128", wide, 2, 8, "plugin: transformer, kind: gpt2"),
                ("LSTM 2 x 128, T 64", LSTM, 12, 96, "plugin: rnn, kind: rnn_language_model")):
            experiment = place.experiment(model, batch, 30, global_batch=global_batch, kind=kind)
            for layout, ranks, settings in (("1 rank", 1, ()), ("dp 2", 2, ("parallel.dp=2",)), ("pp 2", 2, ("parallel.pp=2",))):
                samples = interleave(rounds, plan=lambda: place.planned_seconds(experiment, ranks, settings),
                                     run=lambda: place.triga_seconds(experiment, ranks, 1, 10, settings))
                rows.add(f"{name}, {layout}", "s/step", samples["plan"], samples["run"], other_name="the run", within=0.15)
    return rows


def recompute(rounds):
    """Recomputation: memory at the peak of a step beside values, gradients and optimizer; GPT 12 x 384, T 256, a microbatch of 8."""
    rows = Rows()
    with Workplace() as place:
        experiment = place.experiment(MEDIUM, 8, 1)
        megabytes = {kind: [place.activation_megabytes(experiment, (f"parallel.recompute={kind}",)) for _ in range(rounds)]
                     for kind in ("none", "selective", "full")}
        for kind in ("selective", "full"):
            rows.add(kind, "MB", megabytes[kind], megabytes["none"], other_name="none")
    return rows


def learn_bpe(rounds):
    """Vocabulary: 4,096 merges of bytes learned from 40 MB of text, in seconds of one core, against Hugging Face tokenizers with one thread."""
    rows = Rows()
    vocab_size = 1 + 256 + 4096
    with Workplace() as place:
        for name, files in (("Python sources", place.sources(40_000_000)), ("made words, 2 million different ones", place.words(40_000_000))):
            samples = interleave(
                rounds, triga=lambda: json_lines(run(["taskset", "-c", 0, BUILD / "bin" / "bench_learn_bpe", files, vocab_size]))[0],
                other=lambda: json_lines(run(["taskset", "-c", 0, PYTHON, PYTORCH / "learn_bpe.py", files, vocab_size],
                                             RAYON_NUM_THREADS=1))[0])
            ours, theirs = samples["triga"][0], samples["other"][0]
            if ours["merges"] != theirs["merges"] or ours["bytes"] != theirs["bytes"] or len(ours["merges"]) != 4096:
                raise SystemExit(f"{name}: the two learned different vocabularies: not the same work")
            seconds = {side: [one["seconds"] for one in found] for side, found in samples.items()}
            rows.add(name, "s", seconds["triga"], [60.0] * rounds, 1.0, 0.5, other_name="a minute")
            rows.add(name, "s", seconds["triga"], seconds["other"], 1.0, 0.75, other_name="tokenizers, one thread")
    return rows


# Dense bf16 operations a second, by the beginning of the name.
PEAK = {"NVIDIA H100": 989e12, "NVIDIA H200": 989e12, "NVIDIA A100": 312e12}
GPT2 = {"num_layers": 12, "num_heads": 12, "hidden_size": 768, "context_length": 1024, "dropout": 0.0, "vocab_size": 50304}


def one_gpu(rounds):
    """P10: GPT-2 124M in bf16 on one GPU, T 1024, batch 16: tokens a second against PyTorch eager and torch.compile, and MFU."""
    rows = Rows()
    batch, steps, warmup = 16, 40, 20
    tokens = batch * GPT2["context_length"]
    options = {"batch": batch, "steps": steps, "warmup": warmup, "device": "cuda", **pytorch_options(GPT2)}
    with Workplace() as place:
        experiment = place.experiment(GPT2, batch, steps + warmup)
        common = ("train.device=cuda", "train.precision=bf16")
        sides = {"deterministic": lambda: tokens / place.triga_seconds(experiment, 1, 1, warmup, common),
                 "fastest": lambda: tokens / place.triga_seconds(experiment, 1, 1, warmup, (*common, "train.deterministic=false")),
                 "eager": lambda: tokens / place.pytorch_seconds(1, 1, **options),
                 "compiled": lambda: tokens / place.pytorch_seconds(1, 1, compile=1, **options)}
        samples = interleave(rounds, **sides)
    gpu = run([PYTHON, "-c", "import torch; print(torch.cuda.get_device_name())"]).strip()
    peak = next((value for name, value in PEAK.items() if gpu.startswith(name)), None)
    flops_per_token = 6 * 124.4e6 + 12 * GPT2["num_layers"] * GPT2["hidden_size"] * GPT2["context_length"]  # Chowdhery et al. 2022
    for side in ("deterministic", "fastest"):
        rows.add(f"{side}, against eager", "tokens/s", samples[side], samples["eager"], 1.10, 1.35, at_least=True)
        rows.add(f"{side}, against torch.compile", "tokens/s", samples[side], samples["compiled"], 0.85, 0.98, at_least=True)
        if peak:
            rows.add(f"{side}, model FLOP utilisation", "FLOP/s", [s * flops_per_token for s in samples[side]],
                     [peak] * rounds, 0.30, 0.40, at_least=True, other_name=f"peak of {gpu}")
    return rows


CASES = {"P1": one_rank, "P2": two_ranks, "P3": all_reduce, "P4": overlap, "P5": pipeline, "plan": plan, "P6": clip_and_update,
         "P7": families, "P8": checkpoints, "P9": launch, "recompute": recompute, "scaling": scaling, "bpe": learn_bpe, "P10": one_gpu}
NEEDS_GPU = {"P10"}
