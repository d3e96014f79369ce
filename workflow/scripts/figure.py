from noencore import logs
from noencore.files import read_parquet
from noencore.report.tradeoff import draw_tradeoff

logs.start(snakemake.log[0])
draw_tradeoff(read_parquet(snakemake.input.metrics), snakemake.output.png, snakemake.output.svg)
