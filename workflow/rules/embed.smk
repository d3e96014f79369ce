rule embed_reference:
    input:
        catalogue=rules.catalogue.output.catalogue,
        split=rules.split.output.split,
    output:
        embeddings="<run>/embeddings/reference.safetensors",
    log:
        "<run>/logs/embed/reference.log",
    benchmark:
        "<run>/benchmarks/embed/reference.tsv"
    conda:
        "../../envs/audio.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        spec=canonical(
            {
                "embedding": config["embedding"],
                "sets": sorted(config["generate"]["prompts"]),
            }
        ),
        code=code("embed_reference.py"),
    script:
        "../scripts/embed_reference.py"


rule embed:
    input:
        generated=rules.generate.output.generated,
        audio=rules.generate.output.audio,
    output:
        embeddings="<run>/embeddings/{model}.safetensors",
    log:
        "<run>/logs/embed/{model}.log",
    benchmark:
        "<run>/benchmarks/embed/{model}.tsv"
    conda:
        "../../envs/audio.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        spec=spec("embedding"),
        code=code("embed.py"),
    script:
        "../scripts/embed.py"
