import json
from pathlib import Path

from noencore import logs
from noencore.files import read_parquet, write_parquet
from noencore.job import scratch_path
from noencore.musicgen.model import ModelConfig, MusicGenLM
from noencore.musicgen.package import save_model
from noencore.musicgen.released import load_released
from noencore.record import write_record
from noencore.split import clip_ids
from noencore.tokens import load_clips, read_codec_shape
from noencore.training import TrainingRecipe, dev_frames, load_dev, mean_nll, train_model

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
split = read_parquet(snakemake.input.split)
clips = load_clips(snakemake.input.shards, clip_ids(split, spec["sets"]))
if spec["model"] is None:
    model = load_released(Path(snakemake.input.start[0]).parent)
else:
    shape = read_codec_shape(snakemake.input.shards[0])
    sizes = {"n_q": shape["codebooks"], "card": shape["card"], "text_dim": clips.text.shape[2], **spec["model"]}
    model = MusicGenLM(ModelConfig(**sizes), seed=spec["seed"])
directory = Path(snakemake.output.weights).parent
inputs = [snakemake.input.split, *snakemake.input.shards]
model, cost = train_model(
    model,
    clips,
    TrainingRecipe(**spec["training"]),
    spec["seed"],
    scratch_path(directory.parents[1], snakemake.params.spec, snakemake.params.code, inputs),
    lambda steps: logs.progress(steps, snakemake.wildcards.trained),
)
save_model(model, directory, {"trained_on": spec["sets"], "train_seed": spec["seed"], "clips": len(clips)})
dev = load_dev(snakemake.input.shards, split)
last = {name: mean_nll(model, of_set) for name, of_set in dev.items()}
curve, dev_clips = dev_frames([(cost.steps, last)], dev)
write_parquet(curve, snakemake.output.curve)
write_parquet(dev_clips, snakemake.output.dev)
write_record(snakemake.output.cost, snakemake.wildcards.trained, model, cost)
