import json

from noencore import logs
from noencore.catalogue.download import Terms
from noencore.catalogue.fetching import fetch_part
from noencore.catalogue.wanted import store_of
from noencore.files import write_parquet

logs.start(snakemake.log[0])
settings = json.loads(snakemake.params.spec)["part"]
# The only settings that are no param: how sites are treated changes no file, and must not make any again.
terms = Terms(**snakemake.config["fetch"])
store = store_of(snakemake.output.fetched, settings["source"])
fetched = fetch_part(settings, terms, store, lambda items, total: logs.progress(items, "fetched", total))
write_parquet(fetched, snakemake.output.fetched)
lost = fetched["status"].value_counts().drop("ok", errors="ignore").to_dict()
logs.log.info(
    "%s: %d of %d files are there; lost: %s", store, (fetched["status"] == "ok").sum(), len(fetched), lost or "none"
)
