import json

from noencore import logs
from noencore.catalogue.cutting import Cut, build_catalogue, check_usable, describe
from noencore.catalogue.sources import MIN_USABLE, fetching_parts, list_source
from noencore.catalogue.wanted import Fetched, store_of
from noencore.files import read_parquet, write_parquet

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
settings = spec["catalogue"]
cut = Cut(settings["clips_per_work"], settings["clip_seconds"], settings["seed"], spec["sample_rate"])
fetched = {
    name: Fetched(store_of(table, part["source"]), read_parquet(table))
    for (name, part), table in zip(fetching_parts(settings).items(), snakemake.input.fetched)
}
listing = list_source(settings, fetched)
logs.log.info("%d rows in the listing, %d of them to be read", len(listing), (listing["status"] == "").sum())
catalogue = build_catalogue(
    listing, cut, snakemake.output.audio, snakemake.threads, lambda items: logs.progress(items, "recordings")
)
catalogue.attrs["spec"] = snakemake.params.spec  # tells the pre-flight whether the next run will make it again
for line in describe(catalogue):
    logs.log.info("%s", line)
check_usable(catalogue, settings.get("min_usable", MIN_USABLE))
write_parquet(catalogue, snakemake.output.catalogue)
