# One script for each kind of source, so that a change to how audio is read makes no embedded corpus again.
CATALOGUE_SCRIPT = (
    "catalogue.py" if config["catalogue"]["source"] == "tunes" else "own_audio.py"
)
CATALOGUE_MB = 2000 if CATALOGUE_SCRIPT == "catalogue.py" else 4000


# On the submitting host, which has internet where compute nodes have none. The files go to a store beside all runs,
# and are no outputs: those are deleted when a run is interrupted, and a run that goes on fetches none of them again.
rule fetch_audio:
    input:
        manifests=ancient(experiment.catalogue_manifests(config)),
    output:
        fetched="<run>/fetched/{part}.parquet",
    log:
        "<run>/logs/fetch_audio/{part}.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        spec=fetch_spec,
        code=code("fetch_audio.py"),
    script:
        "../scripts/fetch_audio.py"


rule catalogue:
    input:
        fetched=[
            f"<run>/fetched/{part}.parquet"
            for part in experiment.fetching_parts(config)
        ],
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
        mem_mb=CATALOGUE_MB,
        runtime=lambda wildcards, attempt, threads: attempt
        * experiment.catalogue_minutes(catalogue_spec(), threads),
    params:
        spec=lambda wildcards: catalogue_spec(),
        code=code(CATALOGUE_SCRIPT),
    script:
        f"../scripts/{CATALOGUE_SCRIPT}"
