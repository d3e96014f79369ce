import json
from pathlib import Path

from noencore import __version__, logs
from noencore.comparison.tables import cost_table, summary_table
from noencore.files import read_parquet, write_csv

logs.start(snakemake.log[0])
metrics = read_parquet(snakemake.input.metrics)
write_csv(metrics.assign(version=__version__), snakemake.output.metrics)
write_csv(summary_table(metrics, json.loads(snakemake.params.spec)["names"]), snakemake.output.summary)
write_csv(read_parquet(snakemake.input.findings), snakemake.output.findings)
comparisons = read_parquet(snakemake.input.comparisons)
write_csv(comparisons.assign(version=__version__), snakemake.output.comparisons)
write_csv(cost_table([json.loads(Path(path).read_text()) for path in snakemake.input.costs]), snakemake.output.cost)
