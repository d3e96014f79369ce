# The target's values that recipes compare themselves with: only the kinds that some recipe of the run reads.
rule reference:
    input:
        weights=f"<run>/models/{experiment.target_model(config)}/model.safetensors",
        config=f"<run>/models/{experiment.target_model(config)}/config.json",
        split=rules.split.output.split,
        shards=shards(),
    output:
        values="<run>/reference/{kind}.safetensors",
    log:
        "<run>/logs/reference/{kind}.log",
    benchmark:
        "<run>/benchmarks/reference/{kind}.tsv"
    conda:
        "../../envs/model.yaml"
    resources:
        gpu=GPU,
        mem_mb=2500,
        runtime=60,
    params:
        spec=reference_spec,
        code=code("reference.py"),
    script:
        "../scripts/reference.py"
