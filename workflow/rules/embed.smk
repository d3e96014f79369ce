# What weighs little and is at hand (musicnn, codec, landmarks) is computed in one job a model, and one for the originals:
# loading takes longer than embedding a few clips. Each released model has jobs of its own: they are large, and when
# weights appear that were missing, nothing else is embedded again.


rule embed_reference:
    input:
        catalogue=rules.catalogue.output.catalogue,
        split=rules.split.output.split,
        codec=ancient(OWN_CODEC),
    output:
        expand(REFERENCE, embedding=AT_HAND),
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
        spec=embed_reference_spec,
        code=embed_code("embed_reference.py"),
    script:
        "../scripts/embed_reference.py"


rule embed:
    input:
        generated=rules.generate.output.generated,
        audio=rules.generate.output.audio,
        codec=ancient(OWN_CODEC),
    output:
        expand(EMBEDDINGS, embedding=AT_HAND, allow_missing=True),
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
        spec=embed_spec,
        code=embed_code("embed.py"),
    script:
        "../scripts/embed.py"


use rule embed_reference as embed_reference_released with:
    output:
        REFERENCE,
    log:
        "<run>/logs/embed/reference_{embedding}.log",
    benchmark:
        "<run>/benchmarks/embed/reference_{embedding}.tsv"
    wildcard_constraints:
        embedding="|".join(sorted(WEIGHTS)),
    resources:
        mem_mb=8000,
        runtime=240,


use rule embed as embed_released with:
    output:
        EMBEDDINGS,
    log:
        "<run>/logs/embed/{model}_{embedding}.log",
    benchmark:
        "<run>/benchmarks/embed/{model}_{embedding}.tsv"
    wildcard_constraints:
        embedding="|".join(sorted(WEIGHTS)),
    resources:
        mem_mb=8000,
        runtime=240,


rule embed_captions:
    input:
        catalogue=rules.catalogue.output.catalogue,
        split=rules.split.output.split,
    output:
        captions=CAPTIONS,
    log:
        "<run>/logs/embed/captions_{embedding}.log",
    benchmark:
        "<run>/benchmarks/embed/captions_{embedding}.tsv"
    conda:
        "../../envs/audio.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        spec=captions_spec,
        code=captions_code,
    script:
        "../scripts/embed_captions.py"
