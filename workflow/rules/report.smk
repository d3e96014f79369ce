def figure_files():
    """What the rule `figures` writes: dict <figure>_<kind> -> path; the svg is in Snakemake's own report."""
    files = {}
    for name in experiment.figures(config):
        path = f"<run>/figures/{name}"
        files[f"{name}_svg"] = report(
            f"{path}.svg",
            category="Figures",
            labels={"figure": name},
            caption=f"../report/{name}.rst",
        )
        files |= {f"{name}_{kind}": f"{path}.{kind}" for kind in ("pdf", "json")}
    return files


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
        spec=canonical(experiment.figures_spec(config)),
        code=code("figures.py"),
    script:
        "../scripts/figures.py"
