import json
from pathlib import Path

from noencore import logs
from noencore.files import read_parquet, write_csv
from noencore.tuning import RULE, tune_table

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
outcomes = {cost["model"]: cost for cost in (json.loads(Path(path).read_text()) for path in snakemake.input.costs)}
dev = {}
for model, path in zip(spec["models"], snakemake.input.dev, strict=True):
    frame = read_parquet(path)
    step = outcomes[model]["picked_step"] if model in outcomes else frame["step"].max()
    dev[model] = frame[frame["step"] == step]
table = tune_table(spec["grid"], dev, outcomes)
write_csv(table, snakemake.output.tune)
logs.log.info(
    "%s:\n%s", RULE, table.loc[table["chosen"], ["point", "distance", "utility_rise_high"]].to_string(index=False)
)
