# One script for each kind of source, so that a change to how audio is read makes no embedded corpus again.
CATALOGUE_SCRIPT = (
    "catalogue.py" if config["catalogue"]["source"] == "tunes" else "own_audio.py"
)


rule catalogue:
    input:
        # Audio files are known by name and size, and manifests by content, in the listing of `spec`.
        manifests=ancient(experiment.catalogue_manifests(config)),
    output:
        catalogue="<run>/catalogue.parquet",
        audio=directory("<run>/audio"),
    log:
        "<run>/logs/catalogue.log",
    benchmark:
        "<run>/benchmarks/catalogue.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 4
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        spec=lambda wildcards: catalogue_spec(),
        code=code(CATALOGUE_SCRIPT),
    script:
        f"../scripts/{CATALOGUE_SCRIPT}"
