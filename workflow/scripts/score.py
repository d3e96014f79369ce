import json
from dataclasses import replace
from pathlib import Path

from noencore import logs
from noencore.files import read_parquet, sha256, write_parquet
from noencore.musicgen.package import load_model
from noencore.scores import save_token_scores
from noencore.scoring import score, wrong_captions
from noencore.tokens import load_clips

logs.start(snakemake.log[0])
settings = json.loads(snakemake.params.spec)["score"]
split = read_parquet(snakemake.input.split)
tested = split[split["part"] == "test"]
captions = read_parquet(snakemake.input.catalogue).set_index("clip_id")["caption"]
wrong = wrong_captions(
    captions[tested["clip_id"]].to_numpy(), tested["set"].to_numpy(), settings["wrong_captions"], settings["seed"]
)
scores, tokens = score(
    load_model(Path(snakemake.input.weights).parent),
    load_clips(snakemake.input.shards, list(tested["clip_id"])),
    wrong,
    lambda batches: logs.progress(batches, f"score {snakemake.wildcards.model}"),
)
scores.attrs["weights_sha256"] = sha256(snakemake.input.weights)
save_token_scores(replace(tokens, weights_sha256=scores.attrs["weights_sha256"]), snakemake.output.tokens)
write_parquet(scores, snakemake.output.scores)
