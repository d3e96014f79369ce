import json
from dataclasses import asdict
from pathlib import Path

from noencore import logs
from noencore.files import read_parquet, write_json, write_parquet
from noencore.job import scratch_path
from noencore.musicgen.package import load_model, save_model
from noencore.split import clip_ids
from noencore.tokens import load_clips
from noencore.training import load_dev
from noencore.unlearning.recipes import Recipe, unlearn

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
split, shards = read_parquet(snakemake.input.split), snakemake.input.shards
directory = Path(snakemake.output.weights).parent
inputs = [snakemake.input.weights, snakemake.input.split, *shards]
target = load_model(Path(snakemake.input.weights).parent)
target.checkpoint_activations = spec["checkpoint_activations"]
model, curve, cost = unlearn(
    target,
    Recipe(**spec["recipe"]),
    forget=load_clips(shards, clip_ids(split, ["forget"])),
    remain=load_clips(shards, clip_ids(split, ["remain"], ["train"])),
    dev=load_dev(shards, split),
    seed=spec["seed"],
    checkpoint_path=scratch_path(directory.parents[1], snakemake.params.spec, snakemake.params.code, inputs),
    progress=lambda steps: logs.progress(steps, snakemake.wildcards.unlearned),
)
save_model(model, directory, {"recipe": spec["recipe"], "unlearn_seed": spec["seed"]})
write_parquet(curve, snakemake.output.curve)
write_json({"model": snakemake.wildcards.unlearned, **asdict(cost)}, snakemake.output.cost)
