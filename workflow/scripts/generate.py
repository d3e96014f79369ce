import json
from pathlib import Path

from noencore import logs
from noencore.codec import open_codec
from noencore.files import read_parquet, write_parquet, write_tensors
from noencore.generation import Decoding, play
from noencore.musicgen.package import load_model

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
settings = spec["generate"]
model = load_model(Path(snakemake.input.weights).parent)
codec = open_codec(snakemake.input.codec, spec.get("base"), model.config.n_q)
generated, tokens = play(
    model,
    codec,
    Decoding(
        cfg=settings["cfg"],
        temperature=settings["temperature"],
        top_k=settings["top_k"],
        batch=settings["batch"],
        prompt_seconds=tuple(settings["prompt_seconds"]),
    ),
    read_parquet(snakemake.input.split),
    snakemake.input.shards,
    settings["prompts"],
    settings["continuations"],
    settings["eval_seeds"],
    snakemake.output.audio,
    lambda batches: logs.progress(batches, f"generate {snakemake.wildcards.model}"),
)
write_tensors(tokens, snakemake.output.tokens)
write_parquet(generated, snakemake.output.generated)
