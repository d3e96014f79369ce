import json
from importlib import import_module

import pandas as pd

from noencore import logs
from noencore.files import read_parquet, read_tensors, sha256, write_parquet

logs.start(snakemake.log[0])
family, spec = snakemake.wildcards.metric, json.loads(snakemake.params.spec)
# Imported by name: the param `code` counts the file of this family, and not those of the others.
measure = getattr(import_module(f"noencore.metrics.{family}"), f"measure_{family}")
READERS = {"parquet": read_parquet, "safetensors": read_tensors}


def read(path):
    return READERS[path.rpartition(".")[2]](path)


def by_embedding(prefix):
    return {name.removeprefix(prefix): paths for name, paths in inputs.items() if name.startswith(prefix)}


def inputs_of(index):
    """What the family reads of the model at one position of the inputs."""
    found = {name: read(inputs[name][index]) for name in ("scores", "tokens", "generated") if name in inputs}
    if embeddings:
        found["embeddings"] = {name: read(paths[index]) for name, paths in embeddings.items()}
    return found


inputs = dict(snakemake.input.items())
embeddings, references = by_embedding("embeddings_"), by_embedding("reference_")
shared = {"split": read_parquet(inputs["split"]), **spec["settings"]}
if embeddings:
    shared["reference"] = {name: read(path) for name, path in references.items()}
    shared["reference_sha256"] = {name: sha256(path) for name, path in references.items()}
if "captions" in inputs:
    shared["captions"] = read(inputs["captions"])

rows, values = [], []
for index, model in enumerate(logs.progress(spec["models"], family)):
    measured = measure(**shared, **inputs_of(index))
    rows.append(measured.rows.assign(model=model))
    values.append(measured.values.assign(model=model))
write_parquet(pd.concat(rows, ignore_index=True), snakemake.output.metrics)
write_parquet(pd.concat(values, ignore_index=True), snakemake.output.values)
