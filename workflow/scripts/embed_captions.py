import json

from noencore import logs
from noencore.embeddings import check_text_tower, load_text_audio_model
from noencore.embeddings.files import embed_captions, reference_clips
from noencore.embeddings.laion_clap import PROBE_CAPTIONS
from noencore.files import read_parquet, write_tensors

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
ids = reference_clips(read_parquet(snakemake.input.split), spec["sets"])
captions = read_parquet(snakemake.input.catalogue).set_index("clip_id")["caption"].loc[ids]
model = load_text_audio_model(spec["text_audio"], spec["weights"])
if not model.standardise:  # a cosine as it is means something only where captions are apart
    check_text_tower(model.embed_text(list(PROBE_CAPTIONS)), model.name)
tensors, metadata = embed_captions(captions, model)
write_tensors(tensors, snakemake.output.captions, metadata)
