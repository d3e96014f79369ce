import json

import pandas as pd

from noencore import logs
from noencore.comparison import findings_table, metrics_table
from noencore.files import read_parquet, write_parquet

logs.start(snakemake.log[0])
models = json.loads(snakemake.params.spec)
metrics = pd.concat([read_parquet(path) for path in snakemake.input.metrics], ignore_index=True)
scores = {model: read_parquet(path) for model, path in zip(models, snakemake.input.scores, strict=True)}
table = metrics_table({model: metrics[metrics["model"] == model].drop(columns="model") for model in models})
write_parquet(table, snakemake.output.metrics)
write_parquet(findings_table(scores, read_parquet(snakemake.input.split)), snakemake.output.findings)
