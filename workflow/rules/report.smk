rule figures:
    input:
        metrics=rules.compare.output.metrics,
        comparisons=rules.compare.output.comparisons,
        curves="<run>/tables/curves.csv",
        cost="<run>/tables/cost.csv",
    output:
        **figure_files(),
    log:
        "<run>/logs/figures.log",
    benchmark:
        "<run>/benchmarks/figures.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=lambda wildcards: canonical(experiment.figures_spec(config)),
        code=code("figures.py"),
    script:
        "../scripts/figures.py"


rule words:
    input:
        metrics=rules.compare.output.metrics,
        comparisons=rules.compare.output.comparisons,
        memorisation=rules.compare.output.memorisation,
        findings=rules.compare.output.findings,
        costs=expand("<run>/models/{model}/cost.json", model=experiment.models(config)),
        config=f"<run>/models/{experiment.target_model(config)}/config.json",
        catalogue=rules.catalogue.output.catalogue,
        split=rules.split.output.split,
    output:
        verdicts="<run>/report/verdicts.json",
        methods="<run>/report/methods.md",
    log:
        "<run>/logs/words.log",
    benchmark:
        "<run>/benchmarks/words.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=lambda wildcards: canonical(
            {**experiment.words_spec(config), "codec": CODEC_SHA256}
        ),
        code=code("words.py"),
    script:
        "../scripts/words.py"


rule listening:
    input:
        # The originals are known by their sha256 in the catalogue, and checked against it where they are read.
        catalogue=rules.catalogue.output.catalogue,
        generated=expand("<run>/generated/{model}/generated.parquet", model=listened()),
        # A directory has no checksum but a time, and the table beside it tells whether it is another one.
        audio=ancient(expand("<run>/generated/{model}/audio", model=listened())),
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
        spec=lambda wildcards: canonical(experiment.listening_spec(config, listened())),
        code=code("listening.py"),
    script:
        "../scripts/listening.py"


# The page reads what it shows where the run has written it; its folders go into report.zip, to be mailed.
rule page:
    input:
        tables=[rules.tables.output, rules.curves.output],
        figures=rules.figures.output,
        words=rules.words.output,
        listening=rules.listening.output.listening,
        # listening.json has the sha256 of what lies in them.
        heard=ancient(
            [rules.listening.output.audio, rules.listening.output.spectrograms]
        ),
    output:
        page="<run>/report/index.html",
        tables=directory("<run>/report/tables"),
        figures=directory("<run>/report/figures"),
        zip=report(
            "<run>/report.zip",
            caption="../report/page.rst",
            category="Page",
            labels={"page": "verdicts, figures, listening, tables, methods"},
        ),
    log:
        "<run>/logs/page.log",
    benchmark:
        "<run>/benchmarks/page.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=lambda wildcards: canonical(experiment.page_spec(config)),
        code=page_code(),
    script:
        "../scripts/page.py"
