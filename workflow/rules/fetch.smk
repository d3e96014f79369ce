# On the submitting host and by name alone: `snakemake fetch` brings what a config needs from elsewhere, `snakemake
# preflight` says what is missing, how large it is, and how much memory the largest job needs.


rule fetch:
    log:
        "<run>/logs/fetch.log",
    localrule: True
    conda:
        "../../envs/audio.yaml"
    params:
        spec=spec("model", "weights", "metrics", "embeddings", "text_audio", "copying"),
        code=code("fetch.py"),
    script:
        "../scripts/fetch.py"


rule preflight:
    log:
        "<run>/logs/preflight.log",
    localrule: True
    conda:
        "../../envs/audio.yaml"
    params:
        spec=lambda wildcards: canonical(config),
        code=code("preflight.py"),
    script:
        "../scripts/preflight.py"
