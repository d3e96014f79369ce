import json

from noencore import logs
from noencore.catalogue.tunes import TunesSource, build_catalogue
from noencore.files import write_parquet

logs.start(snakemake.log[0])
settings = json.loads(snakemake.params.spec)["catalogue"]
settings.pop("source")
catalogue = build_catalogue(
    TunesSource(**settings),
    snakemake.output.audio,
    snakemake.threads,
    lambda items: logs.progress(items, "tunes"),
)
catalogue.attrs["spec"] = snakemake.params.spec  # tells the pre-flight whether the next run will make it again
write_parquet(catalogue, snakemake.output.catalogue)
logs.log.info("%d clips of %d works; not used: %s", (catalogue["status"] == "ok").sum(),
              catalogue["work_id"].nunique(), catalogue["status"].value_counts().drop("ok").to_dict())  # fmt: skip
