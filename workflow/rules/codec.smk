# Only with presets/codec.yaml: the codec that resources/codec.safetensors was made by.
if "codec_training" in config:

    rule train_codec:
        output:
            codec="<run>/codec.safetensors",
            report="<run>/codec.json",
        log:
            "<run>/logs/train_codec.log",
        benchmark:
            "<run>/benchmarks/train_codec.tsv"
        conda:
            "../../envs/audio.yaml"
        resources:
            mem_mb=6000,
            runtime=120,
        params:
            spec=spec("codec_training"),
            code=code("train_codec.py"),
        script:
            "../scripts/train_codec.py"
