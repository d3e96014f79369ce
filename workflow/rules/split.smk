rule split:
    input:
        catalogue=rules.catalogue.output.catalogue,
    output:
        # update: the split of the last run survives one that fails, as it does where the config asks too much
        split=update("<run>/split.parquet"),
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
        spec=canonical(experiment.split_spec(config)),
        code=code("split.py"),
    script:
        "../scripts/split.py"
