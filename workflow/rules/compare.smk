rule compare:
    input:
        metrics=expand(
            "<run>/metrics/{metric}.parquet", metric=sorted(config["metrics"])
        ),
        values=expand(
            "<run>/metrics/{metric}.clips.parquet", metric=sorted(config["metrics"])
        ),
        costs=expand(
            "<run>/models/{unlearned}/cost.json",
            unlearned=experiment.unlearned_models(config),
        ),
        split=rules.split.output.split,
    output:
        metrics="<run>/comparison/metrics.parquet",
        findings="<run>/comparison/findings.parquet",
        comparisons="<run>/comparison/comparisons.parquet",
        incomplete="<run>/comparison/incomplete.parquet",
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
        spec=canonical(experiment.compare_spec(config)),
        code=code("compare.py"),
    script:
        "../scripts/compare.py"
