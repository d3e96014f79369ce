import json
from pathlib import Path

import pandas as pd

from noencore import logs
from noencore.comparison.tables import diverged_models
from noencore.files import read_parquet
from noencore.report.listening import (
    choose_clips,
    played,
    shared_tokens,
    what_is_left_out,
    write_clips,
    write_listening,
)

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
diverged = diverged_models(json.loads(Path(path).read_text()) for path in snakemake.input.costs)
plays = {
    model: played(read_parquet(path), Path(path).parent, spec["eval_seed"])
    for model, path in zip(spec["models"], snakemake.input.generated, strict=True)
    if model not in diverged
}
chosen = choose_clips(plays, spec["clips"])
catalogue = Path(snakemake.input.catalogue)
values = [read_parquet(path) for path in snakemake.input.continuation]
shared = shared_tokens(pd.concat(values)) if values else {}
for directory in (snakemake.output.audio, snakemake.output.spectrograms):
    Path(directory).mkdir(parents=True, exist_ok=True)  # also where there is no clip
clips = write_clips(
    chosen, plays, read_parquet(catalogue), catalogue.parent, shared, Path(snakemake.output.listening).parent
)
write_listening(clips, what_is_left_out(plays, chosen, spec["clips"], diverged), snakemake.output.listening)
