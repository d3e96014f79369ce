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
