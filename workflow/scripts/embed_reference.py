import json
from pathlib import Path

from noencore import logs
from noencore.embeddings import embed_files, load_embedding_model
from noencore.files import read_parquet, write_tensors
from noencore.split import clip_ids
from noencore.tokens import check_audio

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
root = Path(snakemake.input.catalogue).parent
ids = clip_ids(read_parquet(snakemake.input.split), spec["sets"], ["test"])
chosen = read_parquet(snakemake.input.catalogue).set_index("clip_id").loc[ids]
for path, digest in zip(chosen["path"], chosen["sha256"]):
    check_audio(root / path, digest)
model = load_embedding_model(spec["embedding"])
tensors, metadata = embed_files([root / path for path in logs.progress(chosen["path"], "embed reference")], ids, model)
write_tensors(tensors, snakemake.output.embeddings, metadata)
