"""What the benchmarks share: alternating runs, the machine and its limits, peak memory, results as json."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

RESULTS = Path(__file__).with_name("results")


def clock():
    """Seconds: the process's own on one thread, where a neighbour costs nothing then; by the clock on more threads."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def spread(values):
    """Median and range of measured values, with their number."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def alternate(runs, rounds, clock=clock):
    """Seconds of each of `runs`, a dict name -> function, in turn, `rounds` times: dict name -> list of seconds.

    The i-th of each come from the same minutes, so that their ratio outlives a neighbour on the machine.
    """
    seconds = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            started = clock()
            run()
            seconds[name].append(clock() - started)
    return seconds


def ratios(theirs, ours):
    """Spread of their time over ours, round by round."""
    return spread([a / b for a, b in zip(theirs, ours, strict=True)])


def in_process(module, *arguments):
    """Run a benchmark in a process of its own; the json that it prints last."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def reset_peak():
    """Begin to measure peak memory anew (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb():
    """Most memory that the process has held since `reset_peak`, in MiB."""
    return _status("VmHWM")


def held_mb():
    """What the process holds now, in MiB."""
    return _status("VmRSS")


def _status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def profile(run):
    """Shares of the time of `run` that go to matrix products, to attention and to all else."""
    with torch.profiler.profile() as profiler:
        run()
    total, shares = 0, {"products": 0, "attention": 0}
    for event in profiler.key_averages():
        total += event.self_cpu_time_total
        for kind, names in {"products": ("::mm", "::bmm", "linear"), "attention": ("attention",)}.items():
            shares[kind] += event.self_cpu_time_total * any(name in event.key for name in names)
    return {kind: time / total for kind, time in shares.items()} | {"else": 1 - sum(shares.values()) / total}


def machine():
    """What the numbers were measured on. load: of the last five minutes, the benchmark's own threads included."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cores = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": cores[0],
        "cores": len(cores),
        "avx512_bf16": any("avx512_bf16" in line for line in lines),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[1], 1),
        "device": "cpu",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def limits():
    """What the machine can do: bytes read a second, and FLOPs a second of large products in fp32 and bf16."""
    memory = torch.ones(2**28)
    found = {"read_gb_s": memory.nbytes / _best(memory.sum) / 1e9}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.randn(2048, 2048).to(dtype), torch.randn(2048, 2048).to(dtype)
        found[f"{str(dtype).split('.')[1]}_gflop_s"] = 2 * 2048**3 / _best(lambda a=a, b=b: a @ b) / 1e9
    return found


def _best(run, times=7):
    run()
    seconds = []
    for _ in range(times):
        started = clock()
        run()
        seconds.append(clock() - started)
    return min(seconds)


def save(name, values):
    """Write benchmarks/results/<name>.json, with the machine."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine(), **values}, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(f"benchmarks/results/{name}.json")
