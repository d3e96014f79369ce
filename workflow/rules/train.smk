rule train:
    input:
        split=rules.split.output.split,
        shards=shards(),
        start=ancient([str(BASE.weights)] if BASE else []),
    output:
        weights="<run>/models/{trained}/model.safetensors",
        config="<run>/models/{trained}/config.json",
        curve="<run>/models/{trained}/curve.parquet",
        dev="<run>/models/{trained}/dev.parquet",
        cost="<run>/models/{trained}/cost.json",
    log:
        "<run>/logs/train/{trained}.log",
    benchmark:
        "<run>/benchmarks/train/{trained}.tsv"
    conda:
        "../../envs/model.yaml"
    resources:
        gpu=GPU,
        mem_mb=2500,
        runtime=240,
    params:
        spec=training_spec,
        code=code("train.py"),
    script:
        "../scripts/train.py"
