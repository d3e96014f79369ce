import json
from pathlib import Path

from noencore import logs
from noencore.files import read_parquet
from noencore.musicgen.package import load_model
from noencore.split import clip_ids
from noencore.tokens import load_clips
from noencore.unlearning.reference import reference_values, save_reference

logs.start(snakemake.log[0])
kind = json.loads(snakemake.params.spec)["kind"]
split, shards = read_parquet(snakemake.input.split), snakemake.input.shards
forget = load_clips(shards, clip_ids(split, ["forget"]))
remain = load_clips(shards, clip_ids(split, ["remain"], ["train"]))
values = reference_values(
    kind,
    load_model(Path(snakemake.input.weights).parent),
    forget,
    remain,
    lambda batches: logs.progress(batches, f"reference {kind}"),
)
save_reference(values, (remain if kind.startswith("remain") else forget).ids, snakemake.output.values)
