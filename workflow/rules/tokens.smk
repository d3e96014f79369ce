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
        # Not by the size of all inputs: a released codec is a hundred times as large as a catalogue.
        runtime=lambda wildcards, input, attempt: attempt
        * experiment.tokens_minutes(config, input.size_files_mb[0]),
    params:
        spec=tokens_spec,
        code=code("tokens.py"),
    script:
        "../scripts/tokens.py"
