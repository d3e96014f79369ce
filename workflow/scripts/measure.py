import json
from importlib import import_module

import pandas as pd

from noencore import logs
from noencore.files import read_parquet, read_tensors, sha256, write_parquet
from noencore.metrics.rows import Measured, metric_frame, missing_rows, no_values

logs.start(snakemake.log[0])
family, spec = snakemake.wildcards.metric, json.loads(snakemake.params.spec)
# Imported by name: the param `code` counts the file of this family, and not those of the others.
module = import_module(f"noencore.metrics.{family}")
measure = getattr(module, f"measure_{family}")
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

# Of embeddings whose weights are missing, distances between sets are left out; the other families need all of theirs.
can_measure = not spec["missing"] or (family == "quality" and bool(embeddings))
rows, values = [], []
for index, model in enumerate(logs.progress(spec["models"], family)):
    of_model = inputs_of(index)
    measured = measure(**shared, **of_model) if can_measure else Measured(metric_frame([]), no_values())
    sets = of_model["generated"].query("kind == 'prompt'")["set"].unique() if spec["missing"] else []
    absent = [row for name, why in spec["missing"].items() for row in missing_rows(sets, module.metrics_of(name), why)]
    rows.append(pd.concat([measured.rows, metric_frame(absent)]).assign(model=model))
    values.append(measured.values.assign(model=model))
write_parquet(pd.concat(rows, ignore_index=True), snakemake.output.metrics)
write_parquet(pd.concat(values, ignore_index=True), snakemake.output.values)
