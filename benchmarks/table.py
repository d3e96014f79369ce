"""Writes the tables of PAGES from benchmarks/results/*.json; the prose around them is written by hand.

`python -m benchmarks.table`
"""

import json
from pathlib import Path

from benchmarks.measure import RESULTS

PAGES = [Path(__file__).parents[1] / "docs" / name for name in ("performance.md", "methods.md")]
NAMED = ("default", "small")
NAMES = {
    "fp32": "fp32",
    "bf16": "bf16",
    "bf16-checkpointed": "bf16, activations computed again",
}
WANTED = {  # times audiocraft's speed
    ("generation", "default", "fp32"): 2.5,
    ("generation", "small", "fp32"): 1.5,
    ("generation", "small", "bf16"): 3.0,
    ("training", "default", "fp32"): 3.0,
    ("training", "small", "fp32"): 1.1,
    ("training", "small", "bf16"): 2.5,
}


WANTED_METRICS = {"FAD, 100 clips, reference 100": "50", "FAD of each of 100 clips, 21 windows": "100"}


def read(name):
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def number(value):
    """Three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ranged(spread):
    return f"{number(spread['median'])} ({number(spread['min'])} to {number(spread['max'])})"


def rows(header, lines):
    return ["| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *lines]]


def ratio_table():
    """Every comparison of speed: seconds of both, ratio with its range over the rounds, what was aimed at."""
    lines = []
    for kind in ("generation", "training"):
        for size in NAMED:
            found = read(f"{kind}-{size}")
            for run in list(found["seconds"])[1:]:
                aim = WANTED.get((kind, size, run))
                lines.append([
                    *(kind, size, NAMES[run]),
                    *(ranged(found["seconds"][side]) for side in ("audiocraft", run)),
                    f"**{ranged(found['ratio'][run])}**",
                    f"{aim}" if aim else "",
                    str(found["ratio"][run]["n"]),
                ])  # fmt: skip
    for kind, aim in (("generation", "5"), ("training", "2")):
        lines.append([kind, "small, on a GPU", "", "", "", "not measured: no GPU", aim, "0"])
    header = ["", "model", "ours", "audiocraft, s", "ours, s", "times as fast", "aim", "n"]
    return rows(header, lines)


def exactness_table():
    lines = []
    for size in NAMED:
        found = read(f"generation-{size}")
        for run in list(found["seconds"])[1:]:
            along = found["bf16"] if run == "bf16" else None
            lines.append([
                *("generation", size, NAMES[run]),
                f"{found['equal_tokens'][run]:.2%} of greedy tokens equal"
                + (f"; along the same tokens: logits off by {along['relative_logit_error']:.2%} (root mean square), "
                   f"{along['equal_choices']:.1%} of choices equal" if along else ""),
            ])  # fmt: skip
        found = read(f"training-{size}")
        for run in list(found["seconds"])[1:]:
            theirs, ours = found["loss"]["audiocraft"], found["loss"][run]
            lines.append(["training", size, NAMES[run], f"loss {ours:.5f} against {theirs:.5f}"])
    return rows(["", "model", "ours", "equal to audiocraft"], lines)


def memory_table():
    lines = []
    for size in NAMED:
        memory = read(f"training-{size}")["memory_mb"]
        for run in list(memory)[1:]:
            lines.append([size, NAMES[run], *(number(memory[side]["median"]) for side in ("audiocraft", run))])
    return rows(["model", "ours", "audiocraft, MiB", "ours, MiB"], lines)


def loss_table():
    found = read("training-loss")
    lines = []
    for frames in ("500", "1000", "1500"):
        whole, chunks = found[frames]["whole"], found[frames]["chunks"]
        lines.append([frames, *(number(run[key]) for key in ("memory_mb", "seconds") for run in (whole, chunks))])
    return rows(["frames", "whole, MiB", "in chunks, MiB", "whole, s", "in chunks, s"], lines)


def limit_table():
    """How far generation is from the memory's speed, and training from the speed of large products."""
    lines = []
    for size in NAMED:
        found = read(f"generation-{size}")
        steps = found["size"]["frames"] + found["size"]["n_q"] - 1
        for run in list(found["seconds"])[1:]:
            speed = found["bytes_a_step"][run] * steps / found["seconds"][run]["median"] / 1e9
            limit = found["limits"]["read_gb_s"]
            lines.append(["generation", size, NAMES[run], f"{number(speed)} GB/s read", f"{number(limit)} GB/s",
                          f"{speed / limit:.0%}", shares(found["profile"][run])])  # fmt: skip
    for size in NAMED:
        found = read(f"training-{size}")
        for run in list(found["seconds"])[1:]:
            dtype = "bfloat16" if run.startswith("bf16") else "float32"
            speed, limit = found["flops"] / found["seconds"][run]["median"] / 1e9, found["limits"][f"{dtype}_gflop_s"]
            lines.append(["training", size, NAMES[run], f"{number(speed)} GFLOP/s", f"{number(limit)} GFLOP/s",
                          f"{speed / limit:.0%}", ""])  # fmt: skip
    return rows(["", "model", "ours", "reached", "the machine's", "share", "time in"], lines)


def shares(profile):
    return ", ".join(f"{kind} {share:.0%}" for kind, share in profile.items())


def startup_table():
    found = read("startup")
    lines = [[name, ranged(found["seconds"][name]), ranged(found["of_torch"][name])] for name in found["seconds"]]
    return rows(["import", "seconds", "of torch's"], lines)


def growth_table(kind):
    found = read(f"{kind}-growth")
    if found is None:
        return ["Not measured yet."]
    lines = []
    for axis, points in found.items():
        if axis != "machine":
            for p in points:
                lines.append([
                    *(axis, str(p["batch"]), str(p["frames"]), f"{p['layers']} x {p['dim']}"),
                    *(f"{p['parameters'] / 1e6:.1f} M", number(p["seconds"]), number(p["memory_mb"])),
                ])  # fmt: skip
    return rows([kind, "batch", "frames", "layers x width", "parameters", "seconds", "memory, MiB"], lines)


def machine_line():
    m = read("generation-small")["machine"]
    loads = [read(f"{kind}-{size}")["machine"]["load"] for kind in ("generation", "training") for size in NAMED]
    threads = "one thread, in seconds of the processor" if m["threads"] == 1 else f"{m['threads']} threads"
    return [
        f"Measured on {m['cores']} cores of an {m['cpu']} processor ({'with' if m['avx512_bf16'] else 'without'} "
        f"AVX512-BF16) with {threads}, torch {m['torch']}, Python {m['python']}. Load of the machine meanwhile: "
        f"{min(loads)} to {max(loads)}, of which {m['threads']} is the benchmark's own."
    ]


def metrics_table():
    """Milliseconds of each audio metric, its peers' and the ratio; the last column is how far the values lie apart."""
    lines = []
    for what, found in read("metrics")["found"].items():
        for peer, ratio in found["ratio"].items():
            lines.append([
                *(what, peer, *(number(1000 * found["seconds"][side]["median"]) for side in (peer, "ours"))),
                *(f"**{ranged(ratio)}**", WANTED_METRICS.get(what, ""), str(ratio["n"])),
                f"{found['difference'][peer]:.0e}",
            ])  # fmt: skip
    header = ["", "peer", "theirs, ms", "ours, ms", "times as fast", "aim", "n", "relative difference"]
    return rows(header, lines)


def methods_table():
    """Time and memory of a method's step, beside a step of fine-tuning on as many clips."""
    found = read("unlearning-cpu-default")
    lines = []
    for name, cost in found["time"].items():
        memory = found["memory_ratio"].get(name)
        low, high = cost["quartiles"]
        lines.append([f"`{name}`", f"{cost['ratio']:.2f} ({low:.2f} to {high:.2f})", f"{memory:.2f}" if memory else ""])
    return rows(["method", f"time of a step, {found['rounds']} pairs", "peak memory"], lines)


def page_table():
    """Sizes of the default run's report page and the seconds until it stands."""
    found = read("page")
    lines = [[what, f"{ranged(seconds)} s", str(seconds["n"])] for what, seconds in found["seconds"].items()]
    lines += [[what, f"{number(size / 1e6)} MB", ""] for what, size in found["bytes"].items()]
    where = f"Chromium {found['chromium']}, {found['machine']['cores']} cores, load {found['machine']['load']}"
    return rows([where, "", "n"], lines)


TABLES = {
    "machine": machine_line,
    "ratios": ratio_table,
    "exactness": exactness_table,
    "memory": memory_table,
    "loss": loss_table,
    "limits": limit_table,
    "startup": startup_table,
    "metrics": metrics_table,
    "page": page_table,
    "generation growth": lambda: growth_table("generation"),
    "training growth": lambda: growth_table("training"),
    "methods": methods_table,
}


def main():
    """Replace what stands between `<!-- NAME -->` and `<!-- end -->`, on the page where a table has its place."""
    for page in PAGES:
        text = page.read_text()
        for name, table in TABLES.items():
            before, mark, rest = text.partition(f"<!-- {name} -->\n")
            if mark:
                _, _, after = rest.partition("<!-- end -->")
                text = "\n".join([f"{before}<!-- {name} -->", *table(), f"<!-- end -->{after}"])
        page.write_text(text)


if __name__ == "__main__":
    main()
