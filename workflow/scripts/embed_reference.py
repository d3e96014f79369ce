import json
from pathlib import Path

from noencore import logs
from noencore.embeddings.files import embed_files, load_features, reference_clips
from noencore.files import read_parquet, write_tensors
from noencore.waves import check_audio

logs.start(snakemake.log[0])
spec, codes = json.loads(snakemake.params.spec), json.loads(snakemake.params.code)
root = Path(snakemake.input.catalogue).parent
ids = reference_clips(read_parquet(snakemake.input.split), spec["sets"])
chosen = read_parquet(snakemake.input.catalogue).set_index("clip_id").loc[ids]
for path, digest in zip(chosen["path"], chosen["sha256"]):
    check_audio(root / path, digest)
made = embed_files(
    [root / path for path in chosen["path"]],
    ids,
    [-1] * len(ids),
    load_features(spec["embeddings"], spec["weights"], snakemake.input.codec, codes),
    store=root.parent / "store" / "embeddings",
    progress=lambda paths: logs.progress(paths, "embed reference"),
)
for path, (tensors, metadata) in zip(snakemake.output, made.values(), strict=True):
    write_tensors(tensors, path, metadata)
