rule figure:
    input:
        metrics=rules.compare.output.metrics,
    output:
        png=report(
            "<run>/figures/tradeoff.png",
            category="Figures",
            labels={"figure": "trade-off"},
        ),
        svg="<run>/figures/tradeoff.svg",
    log:
        "<run>/logs/figure.log",
    benchmark:
        "<run>/benchmarks/figure.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=canonical(experiment.models(config)),
        code=code("figure.py"),
    script:
        "../scripts/figure.py"


rule listening:
    input:
        # The originals are known by their sha256 in the catalogue, and checked against it where they are read.
        catalogue=rules.catalogue.output.catalogue,
        generated=expand("<run>/generated/{model}/generated.parquet", model=listened()),
        audio=expand("<run>/generated/{model}/audio", model=listened()),
        costs=expand(
            "<run>/models/{model}/cost.json",
            model=[
                model
                for model in listened()
                if model in experiment.unlearned_models(config)
            ],
        ),
        continuation=expand(
            "<run>/metrics/{metric}.clips.parquet",
            metric={"continuation"} & set(config["metrics"]),
        ),
    output:
        listening="<run>/report/listening.json",
        audio=directory("<run>/report/audio"),
        spectrograms=directory("<run>/report/spectrograms"),
    log:
        "<run>/logs/listening.log",
    benchmark:
        "<run>/benchmarks/listening.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        spec=canonical(experiment.listening_spec(config, listened())),
        code=code("listening.py"),
    script:
        "../scripts/listening.py"
