"""The methods of a run in words, from its own record: report/methods.md, to be pasted into a paper.

Every sentence is about what this run did: the config that it was given, the tables that it made, and what its jobs
wrote down of themselves (cost.json). What was not run is not mentioned.
"""

from dataclasses import dataclass

import pandas as pd

from noencore.experiment import FRAME_RATE, is_released, split_model_name
from noencore.metrics.frechet import DRAWS as DISTANCE_DRAWS
from noencore.metrics.intervals import DRAWS
from noencore.metrics.rows import MINIMUM
from noencore.report.phrases import counted, duration, in_percent, listed, million, released_name, selector_words
from noencore.report.recipes import recipe_words, scope_words
from noencore.report.verdicts import recipe_models, set_counts
from noencore.split import SETS
from noencore.unlearning.recipes import make_recipe

SHORT = 12  # digits of a sha256
SOURCES = {
    "tunes": "tunes of the collections of O'Neill and Ryan in music21's corpus, rendered by noencore's synthesizer",
    "musiccaps": "MusicCaps",
    "pond5": "a list of Pond5 tracks",
    "folder": "a folder of audio files",
    "csv": "a listed collection of audio files",
    "song_describer": "the Song Describer Dataset",
}
SCORED = ("likelihood", "association", "membership", "extraction")
PLAYED = ("continuation", "collapse", "quality", "text_audio", "copying")
FAMILIES = {
    "likelihood": "the negative log-likelihood (NLL) of clips in nats a token, the mean over the frames of a codebook "
    "and then over codebooks, with min-k and token ranks",
    "association": "the NLL that a wrong or a missing caption costs",
    "membership": "how well an observer of the scores tells forget from holdout (AUC; dataset inference)",
    "extraction": "extraction strength of the first codebook",
    "continuation": "the share of tokens of a greedy continuation that are the recording's",
    "collapse": "entropy, repetition, silence and clipping of what was played",
    "quality": "Fréchet and kernel audio distance to the set's original test clips",
    "text_audio": "the cosine of what was played and its caption",
    "copying": "pieces of forget clips, of any part, in what was played, by landmarks and by windows of an embedding, "
    "with thresholds from holdout clips",
}


INTERVALS = {  # by the `ci_method` of the table of metrics
    "bootstrap-works": f"percentiles of {DRAWS} draws of works with replacement",
    "clopper-pearson": "Clopper and Pearson's for rates, which takes clips as independent",
    "delong": "DeLong's for an AUC where every clip is a work of its own",
    "jackknife-t": "Student's t over 20 groups of works left out in turn for the Fréchet distance",
    "dkw": "Dvoretzky, Kiefer and Wolfowitz's for distances of distribution functions",
    "draws-of-works": "for the floor of the Fréchet distance the range of 95 % of its draws",
}


@dataclass(frozen=True)
class Record:
    """What a run knows of itself.

    spec: of `experiment.words_spec`, with `codec` (its sha256). costs: dict model -> content of cost.json.
    model_config: config.json of the target. packages: dict name -> version of what is installed where the text is
    written.
    """

    spec: dict
    costs: dict
    model_config: dict
    catalogue: pd.DataFrame
    split: pd.DataFrame
    metrics: pd.DataFrame
    comparisons: pd.DataFrame
    packages: dict


def methods_text(record):
    """The text of methods.md."""
    sections = {
        "Data": [data(record), split_words(record)],
        "Codec and model": [codec_and_model(record)],
        "Target and gold": [trained(record)],
        "Unlearning": unlearned(record),
        "Measurements": [measured(record), families(record), embeddings(record), *details(record)],
        "Statistics": [statistics(record)],
        "Software and hardware": [software(record), *costs(record)],
    }
    parts = [f"# Methods of the run {record.spec['experiment']}"]
    for title, paragraphs in sections.items():
        parts += [f"## {title}", *filter(None, paragraphs)]
    return "\n\n".join(parts) + "\n"


def data(record):
    settings, usable = record.spec["catalogue"], record.catalogue[record.catalogue["status"] == "ok"]
    parts = settings["parts"] if settings["source"] == "several" else {settings["source"]: settings}
    sources = listed([SOURCES[part["source"]] for part in parts.values()])
    size = f"{counted(len(usable), 'clip')} of {counted(usable['work_id'].nunique(), 'work')}"
    text = f"The catalogue holds {size} from {sources}; a clip is {seconds_words(usable['duration'])} long."
    if "clips_per_work" in settings:
        per_work = counted(settings["clips_per_work"], "clip")
        text += f" A work gives at most {per_work} (seed {settings['seed']})."
    unusable = record.catalogue.loc[record.catalogue["status"] != "ok", "status"].value_counts()
    if len(unusable):
        text += f" Left out: {listed(f'{number:,} {status}' for status, number in unusable.items())}."
    licences = sorted(filter(None, usable["licence"].fillna("").unique()))
    return f"{text} Licence as the catalogue gives it: {listed(licences)}." if licences else text


def seconds_words(durations):
    low, high = durations.min(), durations.max()
    return f"{low:g} s" if low == high else f"{low:g} to {high:g} s"


def split_words(record):
    rule, counts = record.spec["split"], set_counts(record.split)

    def size(name):
        return f"{counted(counts[name]['clips'], 'clip')} of {counted(counts[name]['works'], 'work')}"

    held, dev = in_percent(rule["holdout"]), in_percent(rule["dev"])
    rehearsed = ((record.split["set"] == "remain") & (record.split["part"] == "train")).sum()
    tested = listed(f"{counts[name]['test_clips']} ({counts[name]['test_works']}) {name}" for name in SETS)
    return (
        f"Whole works were drawn, and works that are one piece stayed together (seed {rule['seed']}). Forget: "
        f"{selector_words(rule['forget'])}, {size('forget')}. Holdout: {held} of the pieces of the same selection, "
        f"which no model learned here, {size('holdout')}. Remain: {selector_words(rule['remain'])}, {size('remain')}. "
        f"Utility: {selector_words(rule['utility'])}, {size('utility')}, which no model learned here. Of every set "
        f"{dev} of the pieces were put aside for looks during unlearning (dev), and recipes could use "
        f"{counted(int(rehearsed), 'further remain clip')}. All numbers are of the rest, test clips (works): {tested}."
    )


def codec_and_model(record):
    sizes, target = record.model_config, record.costs[record.spec["target_model"]]
    released = is_released(record.spec)
    codec = "the released package's codec" if released else "a small EnCodec"
    digests = " ".join(digest[:SHORT] for digest in record.spec["codec"].split())
    captions = "the package's T5" if released else "all-MiniLM-L6-v2"
    shape = f"{counted(sizes['layers'], 'layer')}, width {sizes['dim']}, {counted(sizes['heads'], 'head')}"
    name = released_name(record.spec["model"]["init"])
    start = f"from the released weights of {name}" if released else "from random weights"
    return (
        f"Audio is represented by {sizes['n_q']} codebooks of {sizes['card']} entries at {FRAME_RATE} frames a second "
        f"of {codec} (sha256 {digests}), captions by the token states of {captions}, which is frozen. The model is "
        f"MusicGen's (Copet et al. 2023, arXiv:2306.05284) with its delay pattern: {shape}, "
        f"{million(target['parameters'])} parameters, started {start}. The target's weights have the sha256 "
        f"{target['weights_sha256'][:SHORT]}."
    )


def trained(record):
    kinds = {kind: seeds for kind in ("target", "gold") if (seeds := seeds_of(record, kind))}
    if not record.spec["target"]["train_seeds"]:
        return (
            f"The target is {released_name(record.spec['model']['init'])} itself: nothing was trained, and there is no "
            "gold, so what a model without the forget clips would be is not known."
        )
    training = record.spec["training"]
    learned = record.split[record.split["set"].isin(("forget", "remain"))]["set"].value_counts()
    text = (
        f"The target ({seed_words('train seed', kinds['target'])}) learned forget and remain, {learned.sum():,} clips. "
        f"{counted(training['steps'], 'step')} of {counted(training['batch'], 'clip')}, AdamW (betas 0.9 and 0.95, "
        f"weight decay {training['weight_decay']:g}), learning rate up to {training['lr']:g} over the first "
        f"{in_percent(training['warmup'])} of the steps and then down a cosine to 0, gradients clipped at norm 1; "
        f"captions hidden in {in_percent(training['p_uncond'])} of the batches; {scope_words(training['scope'])}."
    )
    if "gold" not in kinds:
        return f"{text} There is no gold, a model that never learned forget."
    gold = f"Gold ({seed_words('train seed', kinds['gold'])})"
    return f"{text} {gold} was trained in the same way for as many steps on remain alone, {learned['remain']:,} clips."


def seeds_of(record, kind):
    return [split_model_name(model)[1] for model in record.spec["models"] if split_model_name(model)[0] == kind]


def seed_words(name, seeds):
    return f"{name}{'s' if len(seeds) > 1 else ''} {listed(seeds)}"


def unlearned(record):
    """One paragraph for all recipes, and a list of them."""
    forget = int((record.split["set"] == "forget").sum())
    lines = []
    for name, models in recipe_models(record.spec["models"]).items():
        recipe = make_recipe(name, record.spec["recipes"][name])
        line = f"- `{name}`: {recipe_words(recipe, forget)}"
        if recipe.total_steps(forget):
            line += f"; {seed_words('unlearn seed', [split_model_name(model)[1] for model in models])}"
        lines.append(f"{line}{outcome_words([record.costs[model] for model in models])}.")
    intro = (
        "Each recipe starts from the target and steps on all forget clips. AdamW without weight decay; the learning "
        "rate rises over the first steps as given and then falls on a cosine to zero."
    )
    return [intro, "\n".join(lines)] if lines else ["No recipe was run."]


def outcome_words(costs):
    """What did not go to the last step: `; ga-0 diverged at step 12`."""
    ended = [
        f"{cost['model']} {cost['status']} at step {cost['steps']}, and kept the weights of step {cost['picked_step']}"
        for cost in costs
        if cost["status"] != "ok"
    ]
    return "".join(f"; {text}" for text in ended)


def measured(record):
    spec, texts = record.spec, []
    if chosen(record, SCORED):
        wrong = counted(spec["score"]["wrong_captions"], "caption")
        texts.append(
            "Every model scored all test clips by teacher forcing: under their own caption, under none, and under "
            f"{wrong} of other clips (seed {spec['score']['seed']})."
        )
    if chosen(record, PLAYED):
        made = spec["generate"]
        prompts = listed(f"{number} {name}" for name, number in made["prompts"].items())
        texts.append(
            f"Every model played the captions of {prompts} test clips, once for each eval seed "
            f"({listed(made['eval_seeds'])}), with classifier-free guidance {made['cfg']:g}, "
            f"temperature {made['temperature']:g} and top-k {made['top_k']}; all models use the same random numbers "
            "for a clip."
        )
    if chosen(record, ["continuation"]):
        made = spec["generate"]
        clips = listed(f"{number} {name}" for name, number in made["continuations"].items())
        after = listed(f"{seconds:g}" for seconds in made["prompt_seconds"])
        texts.append(f"It went on with {clips} test clips after their first {after} s, greedily and without guidance.")
    return " ".join(texts)


def families(record):
    """Which families were measured."""
    return f"Measured were: {'; '.join(FAMILIES[name] for name in FAMILIES if name in record.spec['metrics'])}."


def embeddings(record):
    """The embedding models that numbers come from, with their weights, and those whose weights were missing."""
    if not chosen(record, ["quality"]):
        return ""
    used, missing = [], []
    for name in record.spec["embeddings"]:
        rows = record.metrics[record.metrics["metric"] == f"fad_{name}"]
        known = rows.loc[rows["weights_sha256"].fillna("") != "", "weights_sha256"]
        if len(known):
            used.append(f"{name} (sha256 {known.iloc[0][:SHORT]})")
        elif rows["status"].str.startswith("no weights").any():
            missing.append(name)
    text = f"Distances are of embeddings of {listed(used)}." if used else ""
    return f"{text} Not measured, as their weights were missing: {listed(missing)}.".strip() if missing else text


def details(record):
    """How music was put beside captions, and what counts as a copy, where there are numbers of it."""
    known = set(record.metrics.loc[record.metrics["value"].notna(), "metric"])
    name, copying = record.spec["text_audio"], record.spec["copying"]
    if f"text_audio_{name}" in known:
        yield f"Music and captions were compared by {name}."
    if "copy_rate" in known:
        passed = in_percent(copying["false_positive_rate"])
        windows = f"its windows are those of {copying['embedding']}"
        yield f"Thresholds of copying let {passed} of holdout clips pass; {windows}."


def chosen(record, families):
    return set(families) & set(record.spec["metrics"])


def statistics(record):
    compared = record.comparisons
    known = [words for method, words in INTERVALS.items() if method in set(record.metrics["ci_method"])]
    text = f"Intervals are of 95 % and count works, not clips: {'; '.join(known)}." if known else ""
    if not (compared["status"] == "ok").any():
        return f"{text} No recipe was tested against another model.".strip()
    draws = f"{DRAWS} draws of works"
    if compared["metric"].str.match("fad_|kad_").any():
        draws += f", {DISTANCE_DRAWS} for distances of sets"
    references = listed(sorted(set(compared["reference"]), reverse=True))
    text += f" Recipes were compared with {references} on the same clips, by Student's t with the variance of {draws}"
    if (compared[["n_seeds", "n_reference_seeds"]] > 1).any(axis=None):
        text += ", to which that of the seeds of either side is added (Satterthwaite)"
    tests, margins = int(compared["n_tests"].max()), record.spec["comparison"]["margins"]
    text += (
        f". With under {MINIMUM} clips or works nothing was tested. p values were corrected by Holm's method over all "
        f"tests of a recipe and reference (at most {tests})."
    )
    declared = [f"{margins[name]:g} for {name}" for name in sorted(set(margins) & set(compared["metric"]))]
    if declared:
        text += (
            " Equality was tested by two one-sided tests at 5 % against margins declared beforehand: "
            f"{listed(declared)}, in the metric's unit."
        )
    if (compared["p_method"] == "mcnemar").any():
        text += " Hits of two single models were compared by McNemar's exact test."
    if (compared["margin_source"] == "gold band").any():
        text += " Without a declared margin the largest difference of two gold models took its place against gold."
    return text.strip()


def software(record):
    """Versions of what made the models, and of what is installed where this text was written."""
    keys = ("version", "python", "torch", "numpy")
    made = sorted({tuple(cost[key] for key in keys) for cost in record.costs.values()})
    models = listed("noencore {} (Python {}, PyTorch {}, NumPy {})".format(*versions) for versions in made)
    text = f"The models were made by {models}."
    if any(cost["device"] == "cuda" for cost in record.costs.values()):
        text += " On the GPU matrix products were computed in bf16 and the rest, with the weights, in fp32."
    packages = listed(f"{name} {version}" for name, version in record.packages.items())
    return f"{text} Tables, figures and this text were made with {packages}."


def costs(record):
    """A list of what making the models took, with the machine of each line where there were several."""
    spent = {}
    for recipe, models in {**kinds_of(record), **recipe_models(record.spec["models"])}.items():
        of_recipe = [record.costs[model] for model in models if record.costs[model]["steps"]]
        if of_recipe:
            spent[recipe] = of_recipe
    if not spent:
        return ["No model was trained or changed in this run."]
    places = {recipe: listed(sorted({place_words(cost) for cost in of_recipe})) for recipe, of_recipe in spent.items()}
    one = set(places.values()) if len(set(places.values())) == 1 else set()
    lines = [f"- {cost_words(recipe, spent[recipe])}{'' if one else f', {places[recipe]}'}" for recipe in spent]
    where = "".join(f", {place}" for place in one)
    intro = f"Time of the loops of training and unlearning, and the most memory that their jobs held{where}:"
    return [intro, "\n".join(lines)]


def cost_words(recipe, costs):
    """`ga`, 2 models: 28 s each, 1,036 MB."""
    seconds = duration(sum(cost["seconds"] for cost in costs) / len(costs))
    memory = f"{max(cost['peak_memory_mb'] for cost in costs):,.0f} MB"
    return f"`{recipe}`, {counted(len(costs), 'model')}: {seconds}{' each' if len(costs) > 1 else ''}, {memory}"


def kinds_of(record):
    return {kind: [f"{kind}-{seed}" for seed in seeds_of(record, kind)] for kind in ("target", "gold")}


def place_words(cost):
    """Where a job ran, and whose memory is meant."""
    if cost["device"] == "cuda":
        return f"on {cost['device_name']} (the GPU's memory)"
    return f"on {counted(cost['threads'], 'thread')} of {cost['device_name']} (the process's memory)"
