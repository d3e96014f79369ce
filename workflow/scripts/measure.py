import json
from importlib import import_module

import pandas as pd

from noencore import logs
from noencore.files import read_parquet, read_tensors, sha256, write_parquet

logs.start(snakemake.log[0])
family, spec = snakemake.wildcards.metric, json.loads(snakemake.params.spec)
# Imported by name: the param `code` counts the file of this family, and not those of the others.
measure = getattr(import_module(f"noencore.metrics.{family}"), f"measure_{family}")
READERS = {".parquet": read_parquet, ".safetensors": read_tensors}


def read(path):
    return READERS[path[path.rindex(".") :]](path)


def embedding_names(prefix):
    return {key.removeprefix(prefix): key for key in snakemake.input.keys() if key.startswith(prefix)}


def inputs_of(index):
    """What the family reads of the model at one position of the inputs."""
    found = {
        name: read(snakemake.input[name][index]) for name in ("scores", "tokens", "generated") if name in per_model
    }
    if embeddings:
        found["embeddings"] = {name: read(snakemake.input[key][index]) for name, key in embeddings.items()}
    return found


per_model, embeddings = set(snakemake.input.keys()), embedding_names("embeddings_")
shared = {"split": read_parquet(snakemake.input.split), **spec["settings"]}
if embeddings:
    references = embedding_names("reference_")
    shared["reference"] = {name: read(snakemake.input[key]) for name, key in references.items()}
    shared["reference_sha256"] = {name: sha256(snakemake.input[key]) for name, key in references.items()}
if "captions" in per_model:
    shared["captions"] = read(snakemake.input.captions)

rows, values = [], []
for index, model in enumerate(logs.progress(spec["models"], family)):
    measured = measure(**shared, **inputs_of(index))
    rows.append(measured.rows.assign(model=model))
    values.append(measured.values.assign(model=model))
write_parquet(pd.concat(rows, ignore_index=True), snakemake.output.metrics)
write_parquet(pd.concat(values, ignore_index=True), snakemake.output.values)
