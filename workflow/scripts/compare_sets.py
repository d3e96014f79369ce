import json
from pathlib import Path

import pandas as pd

from noencore import logs
from noencore.comparison.sets import distance_differences
from noencore.comparison.tables import diverged_models
from noencore.files import read_parquet, read_tensors, write_parquet

logs.start(snakemake.log[0])
spec, embedding = json.loads(snakemake.params.spec), snakemake.wildcards.embedding
diverged = diverged_models(json.loads(Path(path).read_text()) for path in snakemake.input.costs)
generated = {model: read_tensors(path) for model, path in zip(spec["models"], snakemake.input.generated, strict=True)}
rows, left_out = distance_differences(
    embedding,
    read_tensors(snakemake.input.reference),
    generated,
    read_parquet(snakemake.input.split),
    spec["target"],
    diverged=diverged,
)
if len(left_out):
    logs.log.warning("%s: %d plays are not compared: %s", embedding, len(left_out), snakemake.output.incomplete)
write_parquet(left_out, snakemake.output.incomplete)
write_parquet(pd.DataFrame(rows), snakemake.output.differences)
