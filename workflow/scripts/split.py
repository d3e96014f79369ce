import json

from noencore import logs
from noencore.files import read_parquet, write_parquet
from noencore.split import SplitRule, make_split, moved_clips

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
catalogue, rule = read_parquet(snakemake.input.catalogue), SplitRule(**spec["rule"])
split = make_split(catalogue, rule, spec["needed"])
write_parquet(split, snakemake.output.split)
logs.log.info("clips: %s", split.groupby(["set", "part"]).size().to_dict())
for (chosen, side), clips in moved_clips(catalogue, rule).groupby(["chosen", "set"]):
    logs.log.info("%d clips of %d works chosen for %s are near-duplicates of %s clips and go with them (first: %s)",
                  len(clips), clips["work_id"].nunique(), chosen, side, clips["clip_id"].iloc[0])  # fmt: skip
