import json
import os

os.environ["HF_HUB_OFFLINE"] = "0"  # of all jobs this one alone asks the hub

from noencore import logs
from noencore.fetch import fetch_missing

logs.start(snakemake.log[0])
fetch_missing(json.loads(snakemake.params.spec), logs.log.info)
logs.log.info("all is there")
