import json
from pathlib import Path

from noencore import logs
from noencore.files import read_parquet, write_parquet
from noencore.job import scratch_path
from noencore.musicgen.package import load_model, save_model
from noencore.record import write_record
from noencore.split import clip_ids
from noencore.tokens import load_clips
from noencore.training import load_dev
from noencore.unlearning.recipes import make_recipe
from noencore.unlearning.reference import load_reference
from noencore.unlearning.run import unlearn

logs.start(snakemake.log[0])
spec, name = json.loads(snakemake.params.spec), snakemake.wildcards.unlearned
recipe = make_recipe(spec["recipe"].pop("name"), spec["recipe"])
split, shards = read_parquet(snakemake.input.split), snakemake.input.shards
forget = load_clips(shards, clip_ids(split, ["forget"]))
remain = load_clips(shards, clip_ids(split, ["remain"], ["train"]))
reference = {
    kind: load_reference(path, (remain if kind.startswith("remain") else forget).ids)
    for kind, path in zip(recipe.reads(), snakemake.input.reference, strict=True)
}
directory = Path(snakemake.output.weights).parent
inputs = [snakemake.input.weights, snakemake.input.split, *shards, *snakemake.input.reference]
target = load_model(Path(snakemake.input.weights).parent)
target.checkpoint_activations = spec["checkpoint_activations"]
result = unlearn(
    target,
    recipe,
    forget,
    remain,
    dev=load_dev(shards, split),
    seed=spec["seed"],
    checkpoint_path=scratch_path(directory.parents[1], snakemake.params.spec, snakemake.params.code, inputs),
    reference=reference,
    progress=lambda steps: logs.progress(steps, name),
)
if result.status != "ok":
    logs.log.info("%s: %s at step %d; kept step %d", name, result.status, result.cost.steps, result.picked)
save_model(result.model, directory, {"recipe": {"name": recipe.name, **spec["recipe"]}, "unlearn_seed": spec["seed"]})
write_parquet(result.curve, snakemake.output.curve)
write_parquet(result.dev, snakemake.output.dev)
outcome = {"status": result.status, "picked_step": result.picked}
write_record(snakemake.output.cost, name, result.model, result.cost, **outcome)
