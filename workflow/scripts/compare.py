import json
from pathlib import Path

import pandas as pd

from noencore import logs
from noencore.comparison.findings import findings_table, memorisation_table
from noencore.comparison.paired import judged, paired_rows, with_provenance
from noencore.comparison.tables import diverged_models, metrics_table
from noencore.files import read_parquet, write_parquet
from noencore.metrics.gold import gold_rows
from noencore.metrics.rows import works_of

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
models, margins = spec["models"], spec["margins"]
diverged = diverged_models(json.loads(Path(path).read_text()) for path in snakemake.input.costs)
works = works_of(read_parquet(snakemake.input.split))
families = [read_parquet(path) for path in snakemake.input.metrics]
values = pd.concat([read_parquet(path) for path in snakemake.input.values], ignore_index=True)

metrics = pd.concat([*families, gold_rows(values, works)], ignore_index=True)
frames = {model: metrics[metrics["model"] == model].drop(columns="model") for model in models}
write_parquet(metrics_table(frames, diverged), snakemake.output.metrics)
write_parquet(findings_table(values, works, diverged=diverged), snakemake.output.findings)
write_parquet(memorisation_table(values, works, diverged=diverged), snakemake.output.memorisation)

of_clips, incomplete = paired_rows(values, works, models, spec["target"], diverged=diverged)
of_sets = [row for path in snakemake.input.sets for row in read_parquet(path).to_dict("records")]
comparisons = with_provenance(judged(of_clips + of_sets, margins), metrics)
write_parquet(comparisons, snakemake.output.comparisons)
write_parquet(incomplete, snakemake.output.incomplete)
if len(incomplete):
    logs.log.warning("%d pairs are incomplete and not compared: %s", len(incomplete), snakemake.output.incomplete)
if unused := sorted(set(margins) - set(comparisons["metric"])):
    logs.log.warning("config: comparison.margins: no values of %s to compare", ", ".join(unused))
