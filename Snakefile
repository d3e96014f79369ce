# noencore: take works out of a text-to-music model, and measure how far that went.
# `snakemake --cores all` makes the tables of config.yaml; rules by stage are in workflow/rules/.

from snakemake.utils import min_version

min_version("9.14")


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


pathvars:
    run=f"results/{config['experiment']}",


include: "workflow/rules/catalogue.smk"
include: "workflow/rules/codec.smk"
include: "workflow/rules/split.smk"
include: "workflow/rules/tokens.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/import_model.smk"
include: "workflow/rules/reference.smk"
include: "workflow/rules/unlearn.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/generate.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/tune.smk"
include: "workflow/rules/fetch.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        rules.tables.output,
        rules.curves.output,
        rules.figures.output,
        rules.page.output,
        intermediate_results,


onsuccess:
    show_results(f"results/{config['experiment']}/tables")
    at_the_end_show_stopped("warning")


onerror:
    atexit.register(show_error, f"results/{config['experiment']}/logs", STARTED)
    at_the_end_show_stopped("error")
