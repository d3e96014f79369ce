import json
from importlib.metadata import version
from pathlib import Path

from noencore import logs
from noencore.comparison.tables import diverged_models
from noencore.files import atomic, read_parquet, write_json
from noencore.report.judgements import RunTables
from noencore.report.methods import Record, methods_text
from noencore.report.verdicts import verdicts

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)


def read_json(path):
    return json.loads(Path(path).read_text())


costs = {cost["model"]: cost for cost in map(read_json, snakemake.input.costs)}
diverged = diverged_models(cost for cost in costs.values() if "status" in cost)
names = ("metrics", "comparisons", "memorisation", "findings")
tables = {name: read_parquet(snakemake.input[name]) for name in names}
split = read_parquet(snakemake.input.split)
parameters = costs[spec["target_model"]]["parameters"]
write_json(verdicts(spec, RunTables(**tables, diverged=diverged), split, parameters), snakemake.output.verdicts)

record = Record(
    spec,
    costs,
    read_json(snakemake.input.config),
    read_parquet(snakemake.input.catalogue),
    split,
    tables["metrics"],
    tables["comparisons"],
    packages={name: version(name) for name in ("numpy", "pandas", "scipy", "matplotlib", "plotly")},
)
with atomic(snakemake.output.methods) as temporary:
    temporary.write_text(methods_text(record), encoding="utf-8")
