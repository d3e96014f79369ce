import json

from noencore import logs
from noencore.embeddings import load_text_audio_model
from noencore.embeddings.files import embed_captions, reference_clips
from noencore.files import read_parquet, write_tensors

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
ids = reference_clips(read_parquet(snakemake.input.split), spec["sets"])
captions = read_parquet(snakemake.input.catalogue).set_index("clip_id")["caption"].loc[ids]
tensors, metadata = embed_captions(captions, load_text_audio_model(spec["text_audio"], spec["weights"]))
write_tensors(tensors, snakemake.output.captions, metadata)
