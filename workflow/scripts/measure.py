import json
from importlib import import_module

import pandas as pd

from noencore import logs
from noencore.files import read_parquet, read_tensors, sha256, write_parquet

logs.start(snakemake.log[0])
family, split = snakemake.wildcards.metric, read_parquet(snakemake.input.split)
# Imported by name: the param `code` counts the file of this family, and not those of the others.
rows_of = getattr(import_module(f"noencore.metrics.{family}"), f"{family}_rows")


def measure(index):
    """Rows of the model at one position of the inputs."""
    if family == "continuation":
        return rows_of(read_parquet(snakemake.input.generated[index]))
    if family == "quality":
        generated = read_parquet(snakemake.input.generated[index])
        embeddings = read_tensors(snakemake.input.embeddings[index])
        return rows_of(generated, embeddings, reference, split, reference_sha256)
    return rows_of(read_parquet(snakemake.input.scores[index]), split)


if family == "quality":
    reference, reference_sha256 = read_tensors(snakemake.input.reference), sha256(snakemake.input.reference)
frames = []
for index, model in enumerate(logs.progress(json.loads(snakemake.params.spec), family)):
    frames.append(measure(index).assign(model=model))
write_parquet(pd.concat(frames, ignore_index=True), snakemake.output.metrics)
