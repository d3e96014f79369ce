# Only on the released track: the target is the released checkpoint itself, in the form of our own models.
if experiment.imported_models(config):

    rule import_model:
        input:
            package=ancient(str(BASE.weights)),
            split=rules.split.output.split,
            shards=shards(),
        output:
            weights="<run>/models/target-0/model.safetensors",
            config="<run>/models/target-0/config.json",
            curve="<run>/models/target-0/curve.parquet",
            dev="<run>/models/target-0/dev.parquet",
            cost="<run>/models/target-0/cost.json",
        log:
            "<run>/logs/import_model.log",
        benchmark:
            "<run>/benchmarks/import_model.tsv"
        conda:
            "../../envs/model.yaml"
        resources:
            gpu=GPU,
            mem_mb=2500,
            runtime=60,
        params:
            spec=lambda wildcards: canonical(
                {"init": config["model"]["init"], **start()}
            ),
            code=code("import_model.py"),
        script:
            "../scripts/import_model.py"
