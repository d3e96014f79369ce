rule catalogue:
    output:
        catalogue="<run>/catalogue.parquet",
        audio=directory("<run>/audio"),
    log:
        "<run>/logs/catalogue.log",
    benchmark:
        "<run>/benchmarks/catalogue.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 4
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        spec=spec("catalogue"),
        code=code("catalogue.py"),
    script:
        "../scripts/catalogue.py"
