rule figure:
    input:
        metrics=rules.compare.output.metrics,
    output:
        png=report(
            "<run>/figures/tradeoff.png",
            category="Figures",
            labels={"figure": "trade-off"},
        ),
        svg="<run>/figures/tradeoff.svg",
    log:
        "<run>/logs/figure.log",
    benchmark:
        "<run>/benchmarks/figure.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=canonical(experiment.models(config)),
        code=code("figure.py"),
    script:
        "../scripts/figure.py"


# The page reads what it shows where the run has written it; its folders go into report.zip, to be mailed.
rule page:
    input:
        tables=[rules.tables.output, rules.curves.output],
        figures=rules.figures.output,
        words=rules.words.output,
        listening=rules.listening.output,
    output:
        page="<run>/report/index.html",
        tables=directory("<run>/report/tables"),
        figures=directory("<run>/report/figures"),
        zip="<run>/report.zip",
    log:
        "<run>/logs/page.log",
    benchmark:
        "<run>/benchmarks/page.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=canonical(experiment.page_spec(config)),
        code=page_code(),
    script:
        "../scripts/page.py"
