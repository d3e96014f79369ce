import json

from noencore import logs
from noencore.fetch import describe

logs.start(snakemake.log[0])
for line in describe(json.loads(snakemake.params.spec)):
    logs.log.info(line)
