import json
from pathlib import Path

from noencore import __version__, logs
from noencore.comparison.tables import cost_table, summary_table
from noencore.files import read_parquet
from noencore.report.tables import write_table

logs.start(snakemake.log[0])
metrics, comparisons = read_parquet(snakemake.input.metrics), read_parquet(snakemake.input.comparisons)
costs = [json.loads(Path(path).read_text()) for path in snakemake.input.costs]
write_table(metrics.assign(version=__version__), snakemake.output.metrics)
write_table(summary_table(metrics, json.loads(snakemake.params.spec)["names"]), snakemake.output.summary)
write_table(read_parquet(snakemake.input.findings), snakemake.output.findings)
write_table(comparisons.assign(version=__version__), snakemake.output.comparisons)
write_table(cost_table(costs), snakemake.output.cost)
