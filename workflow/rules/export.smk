# Only where the models start from a released package: any of them as such a package, for audiocraft's
# MusicGen.get_pretrained. Made where it is asked for by name: results/<experiment>/models/<model>/released
if BASE:

    rule export:
        input:
            weights="<run>/models/{model}/model.safetensors",
            config="<run>/models/{model}/config.json",
            package=ancient(str(BASE.weights)),
            codec=ancient(CODEC),
        output:
            released=directory("<run>/models/{model}/released"),
        log:
            "<run>/logs/export/{model}.log",
        benchmark:
            "<run>/benchmarks/export/{model}.tsv"
        conda:
            "../../envs/model.yaml"
        resources:
            mem_mb=2500,
            runtime=30,
        params:
            spec=lambda wildcards: canonical({**start(), "codec": CODEC_SHA256}),
            code=code("export.py"),
        script:
            "../scripts/export.py"
