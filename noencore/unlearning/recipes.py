"""What a recipe may say: the names of losses and scopes, their parameters, and what cannot go together.

A recipe = forget loss x remain loss x scope x schedule. This module is read whenever the workflow is planned, so it
imports nothing heavy. Types and bounds of the flat keys (lr, steps, ...) are in workflow/schemas/config.schema.yaml.
"""

import math
from dataclasses import dataclass, field, fields

from noencore.errors import UserError


@dataclass(frozen=True)
class Parameter:
    """A parameter of a loss or scope. kind: float, int, bool, or a tuple of names. Bounds hold for numbers."""

    kind: type | tuple
    default: float | int | bool | str
    says: str
    above: float = -math.inf
    at_least: float = -math.inf
    at_most: float = math.inf


@dataclass(frozen=True)
class Part:
    """A loss or a scope.

    reads: kinds of reference values (see reference.py) that it needs; {x} stands for the parameter x, and a kind
    `*_caption` comes with its `*_null` where captions are hidden (p_uncond).
    """

    says: str
    parameters: dict = field(default_factory=dict)
    reads: tuple = ()


BETA = Parameter(float, 2.5, "sharpness: the loss saturates after a rise of about 1 / beta nats a token", above=0)

FORGET = {
    "none": Part("no forget loss: the control, or with a remain loss further training on remain"),
    "gradient_ascent": Part(
        "minus the NLL of the forget clips",
        {"cap": Parameter(bool, False, "a token's gradient stops where its NLL is above ln card")},
    ),
    "random_caption": Part("NLL of the forget clips under captions of remain clips"),
    "random_tokens": Part("NLL of uniformly drawn tokens where the model reads the forget clips"),
    "swapped_audio": Part("NLL of remain clips under the captions of forget clips"),
    "anchor_caption": Part(
        "KL of the target's distribution under another caption to the model under the clip's own",
        {"caption": Parameter(("other", "null"), "other", "the other caption: of a remain clip, or none")},
        reads=("forget_{caption}",),
    ),
    "npo": Part("negative preference optimisation, of the NLL per token", {"beta": BETA}, reads=("forget_nll",)),
    "simnpo": Part(
        "NPO against one threshold, the target's mean NLL on forget plus a margin",
        {"beta": BETA, "margin": Parameter(float, 0.0, "nats a token above the measured start")},
        reads=("forget_nll",),
    ),
    "dpo": Part(
        "preference for what the target plays under another caption over the clip (AltPO)",
        {"beta": BETA},
        reads=("forget_nll", "alternatives"),
    ),
    "undial": Part(
        "cross entropy to the target's distribution with the clip's tokens made less likely",
        {"beta": Parameter(float, 10.0, "what is taken off the logit of the clip's token", above=0)},
        reads=("forget_caption",),
    ),
    "ce_u": Part(
        "cross entropy to the model's own distribution without the clip's token",
        {"skip": Parameter(int, 4, "first frames of a clip that are left out", at_least=0)},
    ),
    "wga": Part(
        "gradient ascent weighted by the probability of each token to the power beta, weights of mean 1 in a clip",
        {"beta": Parameter(float, 0.5, "0 is gradient ascent", at_least=0)},
    ),
    "rmu": Part(
        "hidden states of forget clips to a fixed random direction",
        {
            "depth": Parameter(float, 0.3, "share of the layers after which the states are taken", above=0, at_most=1),
            "scale": Parameter(float, 2.0, "length of the direction, in the target's mean norm there", above=0),
        },
        reads=("forget_nll",),
    ),
    "bad_teacher": Part("KL of the uniform distribution to the model on forget clips"),
    "task_vector": Part(
        "descend on forget, then go `scale` times as far from the target to the other side",
        {"scale": Parameter(float, 1.0, "of the step to the other side", above=0)},
    ),
}

REMAIN = {
    "none": Part("no remain loss"),
    "cross_entropy": Part("NLL of the remain clips"),
    "kl": Part("KL of the target's distribution to the model on remain clips", reads=("remain_caption",)),
    "constraint": Part(
        "NLL of the remain clips held below a bound by a dual variable (PDU)",
        {
            "bound": Parameter(float, 1.02, "of the target's NLL on remain", above=0),
            "rate": Parameter(float, 1.0, "of the dual variable: + rate x nats above the bound, each step", above=0),
            "start": Parameter(float, 1.0, "the dual variable at the start", at_least=0),
        },
        reads=("remain_nll",),
    ),
}

SCOPE = {
    "all": Part("every weight"),
    "cross_attention": Part("cross-attention with its norm and the text projection: the null condition stays as it is"),
    "lora": Part(
        "low-rank adapters on attention and feed-forward matrices, merged at the end",
        {
            "rank": Parameter(int, 8, "of each adapter", at_least=1),
            "alpha": Parameter(float, 16.0, "an adapter adds alpha / rank times B A", above=0),
        },
    ),
    "salun": Part(
        "the weights with the largest forget gradient at the start, ranked over all tensors",
        {"share": Parameter(float, 0.5, "of the weights that may move", above=0, at_most=1)},
    ),
}

PARTS = {"forget": FORGET, "remain": REMAIN, "scope": SCOPE}
# A rise refuses the point that breaks the bound, the others take the point that reaches it.
STOPS = {
    "remain_rise": "NLL on remain is above 1 + bound times its start",
    "utility_rise": "NLL on utility is above 1 + bound times its start",
    "forget_nll": "NLL on forget is at or above bound",
    "holdout_gap": "NLL on holdout less NLL on forget is at or below bound",
}
PICKS = {
    "last": "the last point",
    "nearest_holdout": "the point where the NLL on forget is nearest to that on holdout, the later of equals",
}


@dataclass(frozen=True)
class Choice:
    """A loss or scope by name, with all its parameters."""

    name: str
    parameters: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Stop:
    """When to stop early, by a name of STOPS."""

    metric: str
    bound: float


@dataclass(frozen=True)
class Recipe:
    """One entry of `recipes` in the config; config.yaml says what each key is."""

    name: str
    forget: Choice
    remain: Choice = Choice("none")
    scope: Choice = Choice("all")
    gamma: float = 1.0
    alpha: float = 1.0
    lr: float = 0.0
    steps: int | None = None
    epochs: int | None = None
    batch: int = 16
    remain_batch: int | None = None
    accumulate: int = 1
    warmup: float = 0.05
    clip: float = 1.0
    p_uncond: float = 0.0
    codebook_weights: tuple | None = None
    stop: Stop | None = None
    pick: str = "last"
    points: int = 5

    def total_steps(self, forget_clips):
        """Optimizer steps of a run; an epoch is one pass over the forget clips."""
        return self.steps or (self.epochs or 0) * math.ceil(forget_clips / self.batch)

    def reads(self):
        """Kinds of reference values that a run needs, sorted."""
        kinds = set()
        for part, table in PARTS.items():
            choice = getattr(self, part)
            for kind in table[choice.name].reads:
                kinds.add(kind.format(**choice.parameters))
                if self.p_uncond and kind.endswith("_caption"):
                    kinds.add(kind.removesuffix("caption") + "null")
        return sorted(kinds)


def make_recipe(name, entry):
    """A Recipe from an entry of the config (a dict). Raises UserError, naming the key, where it cannot be."""
    where = f"config: recipes.{name}"
    if unknown := sorted(set(entry) - {one.name for one in fields(Recipe)} | set(entry) & {"name"}):
        raise UserError(f"{where}: unknown key '{unknown[0]}'; known are {', '.join(KEYS)}")
    values = dict(entry)
    for part, table in PARTS.items():
        if part in values:
            values[part] = _choice(f"{where}.{part}", values[part], table)
    if "codebook_weights" in values:
        values["codebook_weights"] = tuple(values["codebook_weights"])
    if "stop" in values:
        values["stop"] = Stop(**values["stop"])
        _check_name(f"{where}.stop.metric", values["stop"].metric, STOPS)
    _check_name(f"{where}.pick", values.get("pick", "last"), PICKS)
    recipe = Recipe(name=name, **values)
    _check_sense(where, recipe, set(entry))
    return recipe


def training_scope(value):
    """The scope of target and gold (`training.scope`) as a dict of its name and all its parameters."""
    table = {name: part for name, part in SCOPE.items() if name != "salun"}  # that one ranks weights by a forget loss
    choice = _choice("config: training.scope", value, table)
    return {"name": choice.name, **choice.parameters}


KEYS = sorted(one.name for one in fields(Recipe) if one.name != "name")


def takes_steps(entry):
    """Whether a recipe (an entry of the config) changes the model at all."""
    return any(_name(entry.get(part, "none")) != "none" for part in ("forget", "remain"))


def _name(value):
    return value.get("name") if isinstance(value, dict) else value


def _choice(where, value, table):
    """A Choice from a bare name or from {name: ..., parameter: value}."""
    given = dict(value) if isinstance(value, dict) else {"name": value}
    if "name" not in given:
        raise UserError(f"{where}: 'name' is missing; give one of {', '.join(table)}")
    name = given.pop("name")
    _check_name(where, name, table)
    parameters = table[name].parameters
    if unknown := sorted(set(given) - set(parameters)):
        known = f"known are {', '.join(parameters)}" if parameters else "it has none"
        raise UserError(f"{where}: unknown parameter '{unknown[0]}' of {name}; {known}")
    for key, item in given.items():
        if item is None and isinstance(parameters[key].kind, tuple):
            given[key] = item = "null"  # as YAML reads that word
        _check_parameter(f"{where}.{key}", item, parameters[key])
    return Choice(name, {key: given.get(key, parameter.default) for key, parameter in parameters.items()})


def _check_name(where, name, known):
    if not isinstance(name, str) or name not in known:  # a list or a mapping is in no table
        raise UserError(f"{where}: '{name}' is not one of {', '.join(known)}")


def _check_parameter(where, value, parameter):
    if isinstance(parameter.kind, tuple):
        _check_name(where, value, parameter.kind)
        return
    kinds = {bool: "true or false", int: "a whole number", float: "a number"}
    allowed = (int, float) if parameter.kind is float else (parameter.kind,)
    if type(value) not in allowed:
        hint = " (write small numbers as 1.0e-5)" if isinstance(value, str) else ""
        raise UserError(f"{where}: '{value}' is not {kinds[parameter.kind]}{hint}")
    for holds, text in (
        (value > parameter.above, f"above {parameter.above:g}"),
        (value >= parameter.at_least, f"at least {parameter.at_least:g}"),
        (value <= parameter.at_most, f"at most {parameter.at_most:g}"),
    ):
        if not holds:
            raise UserError(f"{where}: {value} is out of bounds; it must be {text}")


def _check_sense(where, recipe, given):
    """Refuse what no run could mean: each line is (wrong, key, why and cure)."""
    forget, remain, scope = recipe.forget.name, recipe.remain.name, recipe.scope.name
    if forget == remain == "none":
        if extra := sorted(given - {"forget", "remain"}):
            raise UserError(f"{where}: a recipe with 'forget: none' takes no step; remove {extra[0]} or add a loss")
        return
    weights = recipe.codebook_weights
    for wrong, key, why in (
        (recipe.steps and recipe.epochs, "epochs",
         "steps are given as well, here or in an earlier file; remove one, or give the recipe a name of its own"),
        (not (recipe.steps or recipe.epochs), "steps", "neither steps nor epochs are given; add one of them"),
        (recipe.lr <= 0, "lr", "is missing; give a learning rate above 0"),
        (remain == "none" and given & {"alpha", "remain_batch"}, "remain",
         "alpha and remain_batch need a remain loss; add one or remove them"),
        (forget == "none" and "gamma" in given, "gamma", "there is no forget loss to weigh; remove it"),
        (forget == "task_vector" and remain != "none", "remain",
         "task_vector would be negated together with the remain loss; use none"),
        (forget == "none" and scope == "salun", "scope", "salun ranks weights by a forget loss; add one"),
        (forget == "anchor_caption" and recipe.p_uncond, "p_uncond",
         "anchor_caption is about the caption; leave none hidden (0)"),
        (scope == "cross_attention" and recipe.p_uncond, "p_uncond",
         "without a caption cross_attention is not used; leave none hidden (0)"),
        (forget == "rmu" and weights and remain == "none", "codebook_weights",
         "rmu knows no codebooks; remove them"),
        (recipe.stop and recipe.stop.metric.endswith("_rise") and recipe.stop.bound <= 0, "stop.bound",
         "the start itself has no rise; give a share above 0"),
        (weights and not any(weights), "codebook_weights", "all are 0; give one above 0"),
        (recipe.accumulate > recipe.batch, "accumulate", f"is above batch ({recipe.batch}); lower it"),
    ):  # fmt: skip
        if wrong:
            raise UserError(f"{where}.{key}: {why}")
