import json

from noencore import logs
from noencore.files import read_parquet, write_parquet
from noencore.split import SplitRule, make_split

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
split = make_split(read_parquet(snakemake.input.catalogue), SplitRule(**spec["rule"]), spec["needed"])
write_parquet(split, snakemake.output.split)
logs.log.info("clips: %s", split.groupby(["set", "part"]).size().to_dict())
