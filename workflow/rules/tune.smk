# Only with presets/tuned-tune.yaml: which points of a grid are best on dev, by the rule of noencore/tuning.py.
if "tune" in config:

    rule tune:
        input:
            dev=expand(
                "<run>/models/{model}/dev.parquet", model=experiment.models(config)
            ),
            costs=expand(
                "<run>/models/{model}/cost.json",
                model=experiment.unlearned_models(config),
            ),
        output:
            tune="<run>/tables/tune.csv",
        log:
            "<run>/logs/tune.log",
        benchmark:
            "<run>/benchmarks/tune.tsv"
        conda:
            "../../envs/metrics.yaml"
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            spec=lambda wildcards: canonical(
                {
                    "grid": experiment.tune_grid(config),
                    "models": experiment.models(config),
                }
            ),
            code=code("tune.py"),
        script:
            "../scripts/tune.py"
