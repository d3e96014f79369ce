import json
from pathlib import Path

from noencore import logs
from noencore.embeddings import embed_files, load_embedding_model
from noencore.files import read_parquet, write_tensors

logs.start(snakemake.log[0])
root = Path(snakemake.input.generated).parent
generated = read_parquet(snakemake.input.generated)
prompts = generated[generated["kind"] == "prompt"]
model = load_embedding_model(json.loads(snakemake.params.spec)["embedding"])
files = [root / path for path in logs.progress(prompts["path"], f"embed {snakemake.wildcards.model}")]
tensors, metadata = embed_files(files, list(prompts["clip_id"]), model)
write_tensors(tensors, snakemake.output.embeddings, metadata)
