rule tables:
    input:
        metrics=rules.compare.output.metrics,
        findings=rules.compare.output.findings,
        comparisons=rules.compare.output.comparisons,
        costs=expand("<run>/models/{model}/cost.json", model=experiment.models(config)),
    output:
        metrics=report(
            "<run>/tables/metrics.csv",
            caption="../report/tables/metrics.rst",
            category="Tables",
            subcategory="Results",
            labels={"table": "metrics"},
        ),
        summary=report(
            "<run>/tables/summary.csv",
            caption="../report/tables/summary.rst",
            category="Tables",
            subcategory="Results",
            labels={"table": "summary"},
        ),
        findings=report(
            "<run>/tables/findings.csv",
            caption="../report/tables/findings.rst",
            category="Tables",
            subcategory="Results",
            labels={"table": "findings"},
        ),
        comparisons=report(
            "<run>/tables/comparisons.csv",
            caption="../report/tables/comparisons.rst",
            category="Tables",
            subcategory="Results",
            labels={"table": "comparisons"},
        ),
        cost=report(
            "<run>/tables/cost.csv",
            caption="../report/tables/cost.rst",
            category="Tables",
            subcategory="Jobs",
            labels={"table": "cost"},
        ),
        to_read=expand(
            "<run>/tables/{table}.{kind}",
            table=["metrics", "summary", "findings", "comparisons", "cost"],
            kind=["md", "tex"],
        ),
    log:
        "<run>/logs/tables.log",
    benchmark:
        "<run>/benchmarks/tables.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=lambda wildcards: canonical(experiment.tables_spec(config)),
        code=code("tables.py"),
    script:
        "../scripts/tables.py"


rule curves:
    input:
        curves=expand(
            "<run>/models/{model}/curve.parquet", model=experiment.models(config)
        ),
    output:
        curves=report(
            "<run>/tables/curves.csv",
            caption="../report/tables/curves.rst",
            category="Tables",
            subcategory="Jobs",
            labels={"table": "curves"},
        ),
        to_read=expand("<run>/tables/curves.{kind}", kind=["md", "tex"]),
    log:
        "<run>/logs/curves.log",
    benchmark:
        "<run>/benchmarks/curves.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=lambda wildcards: canonical(experiment.models(config)),
        code=code("curves.py"),
    script:
        "../scripts/curves.py"
