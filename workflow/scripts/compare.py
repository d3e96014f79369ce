import json
from pathlib import Path

import pandas as pd

from noencore import logs
from noencore.comparison.findings import findings_table
from noencore.comparison.tables import diverged_models, metrics_table
from noencore.files import read_parquet, write_parquet
from noencore.metrics.gold import gold_rows

logs.start(snakemake.log[0])
models = json.loads(snakemake.params.spec)
diverged = diverged_models(json.loads(Path(path).read_text()) for path in snakemake.input.costs)
split = read_parquet(snakemake.input.split)
scores = {model: read_parquet(path) for model, path in zip(models, snakemake.input.scores, strict=True)}
families = [read_parquet(path) for path in snakemake.input.metrics]
metrics = pd.concat([*families, gold_rows(scores, split)], ignore_index=True)
frames = {model: metrics[metrics["model"] == model].drop(columns="model") for model in models}
write_parquet(metrics_table(frames, diverged), snakemake.output.metrics)
write_parquet(findings_table(scores, split, diverged=diverged), snakemake.output.findings)
