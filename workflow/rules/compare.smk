rule compare_sets:
    input:
        reference="<run>/embeddings/{embedding}/reference.safetensors",
        generated=expand(
            "<run>/embeddings/{{embedding}}/{model}.safetensors",
            model=experiment.models(config),
        ),
        costs=expand(
            "<run>/models/{unlearned}/cost.json",
            unlearned=experiment.unlearned_models(config),
        ),
        split=rules.split.output.split,
    output:
        differences="<run>/comparison/sets/{embedding}.parquet",
        incomplete="<run>/comparison/sets/{embedding}.incomplete.parquet",
    log:
        "<run>/logs/compare_sets/{embedding}.log",
    benchmark:
        "<run>/benchmarks/compare_sets/{embedding}.tsv"
    conda:
        "../../envs/metrics.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        spec=lambda wildcards: canonical(experiment.compare_spec(config)),
        code=code("compare_sets.py"),
    script:
        "../scripts/compare_sets.py"


rule compare:
    input:
        metrics=expand(
            "<run>/metrics/{metric}.parquet", metric=sorted(config["metrics"])
        ),
        values=expand(
            "<run>/metrics/{metric}.clips.parquet", metric=sorted(config["metrics"])
        ),
        sets=expand(
            "<run>/comparison/sets/{embedding}.parquet",
            embedding=compared_embeddings(),
        ),
        costs=expand(
            "<run>/models/{unlearned}/cost.json",
            unlearned=experiment.unlearned_models(config),
        ),
        split=rules.split.output.split,
    output:
        metrics="<run>/comparison/metrics.parquet",
        findings="<run>/comparison/findings.parquet",
        memorisation="<run>/comparison/memorisation.parquet",
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
        spec=lambda wildcards: canonical(experiment.compare_spec(config)),
        code=code("compare.py"),
    script:
        "../scripts/compare.py"
