import json
from pathlib import Path

from noencore import logs
from noencore.report.page import write_page

logs.start(snakemake.log[0])
write_page(Path(snakemake.output.page).parents[1], json.loads(snakemake.params.spec))
