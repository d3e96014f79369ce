import json

import pandas as pd

from noencore import logs
from noencore.files import atomic, read_parquet
from noencore.report.evidence import Evidence
from noencore.report.figures import FIGURES
from noencore.report.interactive import to_plotly
from noencore.report.static import write_static

ONLY_EMPTY = {"keep_default_na": False, "na_values": [""]}  # a recipe may be called null

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
evidence = Evidence(
    metrics=read_parquet(snakemake.input.metrics),
    comparisons=read_parquet(snakemake.input.comparisons),
    curves=pd.read_csv(snakemake.input.curves, **ONLY_EMPTY),
    cost=pd.read_csv(snakemake.input.cost, **ONLY_EMPTY),
    wrong_captions=spec["wrong_captions"],
)
for name in spec["figures"]:
    figure = FIGURES[name](evidence)
    write_static(figure, {kind: snakemake.output[f"{name}_{kind}"] for kind in ("svg", "pdf")})
    with atomic(snakemake.output[f"{name}_json"]) as temporary:
        temporary.write_text(to_plotly(figure), encoding="utf-8")
