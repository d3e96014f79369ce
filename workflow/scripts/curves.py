import json

import pandas as pd

from noencore import logs
from noencore.files import read_parquet
from noencore.report.tables import write_table

logs.start(snakemake.log[0])
models = json.loads(snakemake.params.spec)
curves = [read_parquet(path).assign(model=model) for model, path in zip(models, snakemake.input.curves, strict=True)]
write_table(pd.concat(curves)[["model", "step", "set", "nll", "n"]], snakemake.output.curves)
