rule tokens:
    input:
        # The audio files are known by their sha256 in the catalogue, and checked against it where they are read.
        catalogue=rules.catalogue.output.catalogue,
        codec=ancient(CODEC),
    output:
        shard="<run>/tokens/shard-{shard}.safetensors",
    log:
        "<run>/logs/tokens/shard-{shard}.log",
    benchmark:
        "<run>/benchmarks/tokens/shard-{shard}.tsv"
    conda:
        "../../envs/audio.yaml"
    resources:
        mem_mb=2500,
        runtime=60,
    params:
        spec=tokens_spec,
        code=code("tokens.py"),
    script:
        "../scripts/tokens.py"
