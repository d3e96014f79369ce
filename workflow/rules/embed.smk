# One job a model, and one for the originals, computes all embeddings: loading costs more than embedding a few clips.
if EMBEDDED:

    rule embed_reference:
        input:
            catalogue=rules.catalogue.output.catalogue,
            split=rules.split.output.split,
            codec=ancient(CODEC),
        output:
            expand(REFERENCE, embedding=EMBEDDED),
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
            spec=embed_spec(sets=sorted(config["generate"]["prompts"])),
            code=embed_code("embed_reference.py"),
        script:
            "../scripts/embed_reference.py"

    rule embed:
        input:
            generated=rules.generate.output.generated,
            audio=rules.generate.output.audio,
            codec=ancient(CODEC),
        output:
            expand(EMBEDDINGS, embedding=EMBEDDED, allow_missing=True),
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
            spec=embed_spec(),
            code=embed_code("embed.py"),
        script:
            "../scripts/embed.py"


rule embed_captions:
    input:
        catalogue=rules.catalogue.output.catalogue,
        split=rules.split.output.split,
    output:
        captions=CAPTIONS,
    log:
        "<run>/logs/embed/{embedding}_captions.log",
    benchmark:
        "<run>/benchmarks/embed/{embedding}_captions.tsv"
    conda:
        "../../envs/audio.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        spec=captions_spec,
        code=captions_code,
    script:
        "../scripts/embed_captions.py"
