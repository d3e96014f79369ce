rule split:
    input:
        catalogue=rules.catalogue.output.catalogue,
    output:
        split="<run>/split.parquet",
    log:
        "<run>/logs/split.log",
    benchmark:
        "<run>/benchmarks/split.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        spec=lambda wildcards: canonical(experiment.split_spec(config)),
        code=code("split.py"),
    script:
        "../scripts/split.py"
