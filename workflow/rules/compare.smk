rule compare:
    input:
        metrics=expand(
            "<run>/metrics/{metric}.parquet", metric=sorted(config["metrics"])
        ),
        scores=expand("<run>/scores/{model}.parquet", model=experiment.models(config)),
        costs=expand(
            "<run>/models/{unlearned}/cost.json",
            unlearned=experiment.unlearned_models(config),
        ),
        split=rules.split.output.split,
    output:
        metrics="<run>/comparison/metrics.parquet",
        findings="<run>/comparison/findings.parquet",
    log:
        "<run>/logs/compare.log",
    benchmark:
        "<run>/benchmarks/compare.tsv"
    conda:
        "../../envs/metrics.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=canonical(experiment.models(config)),
        code=code("compare.py"),
    script:
        "../scripts/compare.py"
