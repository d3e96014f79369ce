import json
from pathlib import Path

from noencore import logs
from noencore.catalogue.cutting import UNUSED, Cut, build_catalogue, check_usable, describe
from noencore.catalogue.sources import MIN_USABLE, fetching_parts, list_source
from noencore.catalogue.wanted import Fetched, store_of
from noencore.files import read_parquet, write_csv, write_parquet

logs.start(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
settings = spec["catalogue"]
cut = Cut(settings["clips_per_work"], settings["clip_seconds"], settings["seed"], spec["sample_rate"])
parts = fetching_parts(settings)
fetched = {}
for table in snakemake.input.fetched:
    name = Path(table).stem
    fetched[name] = Fetched(store_of(table, parts[name]["source"]), read_parquet(table))
listing = list_source(settings, fetched)
logs.log.info("%d rows in the listing, %d of them to be read", len(listing), (listing["status"] == "").sum())
catalogue = build_catalogue(
    listing,
    cut,
    snakemake.output.audio,
    snakemake.threads,
    lambda items: logs.progress(items, "recordings"),
    store=Path(snakemake.output.catalogue).parents[1] / "store" / "audio" / snakemake.params.code,
)
catalogue.attrs["spec"] = snakemake.params.spec  # tells the pre-flight whether the next run will make it again
for line in describe(catalogue):
    logs.log.info("%s", line)
unused = catalogue[catalogue["status"] != "ok"]
write_csv(unused[["source", "file", "start", "status", "reason"]], Path(snakemake.log[0]).with_name(UNUSED))
check_usable(catalogue, settings.get("min_usable", MIN_USABLE))
write_parquet(catalogue, snakemake.output.catalogue)
