import json
from pathlib import Path

from noencore import logs
from noencore.files import read_parquet, write_parquet
from noencore.musicgen.package import save_model
from noencore.musicgen.released import load_released
from noencore.record import write_record
from noencore.training import Cost, dev_frames, load_dev, mean_nll, peak_memory_mb, pick_device

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
model = load_released(Path(snakemake.input.package).parent)
save_model(model, Path(snakemake.output.weights).parent, {"init": spec["init"], "package_sha256": spec["start"]})
device = pick_device()
model = model.to(device).eval()
dev = load_dev(snakemake.input.shards, read_parquet(snakemake.input.split))
curve, clips = dev_frames([(0, {name: mean_nll(model, of_set) for name, of_set in dev.items()})], dev)
write_parquet(curve, snakemake.output.curve)
write_parquet(clips, snakemake.output.dev)
cost = Cost(0.0, 0, 0, peak_memory_mb(device), device)
write_record(snakemake.output.cost, "target-0", model, cost)
