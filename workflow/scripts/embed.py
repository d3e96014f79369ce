import json
from pathlib import Path

from noencore import logs
from noencore.embeddings.files import embed_files, load_features
from noencore.files import read_parquet, write_tensors

logs.start(snakemake.log[0])
spec, codes = json.loads(snakemake.params.spec), json.loads(snakemake.params.code)
root = Path(snakemake.input.generated).parent
generated = read_parquet(snakemake.input.generated)
prompts = generated[generated["kind"] == "prompt"]
made = embed_files(
    [root / path for path in prompts["path"]],
    list(prompts["clip_id"]),
    list(prompts["eval_seed"]),
    load_features(spec["embeddings"], spec["weights"], snakemake.input.codec, codes),
    store=root.parents[2] / "store" / "embeddings",
    progress=lambda paths: logs.progress(paths, f"embed {snakemake.wildcards.model}"),
)
for path, (tensors, metadata) in zip(snakemake.output, made.values(), strict=True):
    write_tensors(tensors, path, metadata)
