"""A recipe in words, from what `unlearning.recipes` says of its parts."""

from noencore.report.phrases import counted, in_percent, listed
from noencore.unlearning.recipes import FORGET, PICKS, REMAIN, SCOPE, STOPS, Choice, training_scope


def recipe_words(recipe, forget_clips):
    """A `Recipe` in one clause: losses, scope, learning rate, steps, and what differs from the defaults."""
    steps = recipe.total_steps(forget_clips)
    if not steps:
        return "the target itself, as a control"
    parts = [_loss("forget", recipe.forget, FORGET, recipe.gamma)]
    if recipe.remain.name != "none":
        parts.append(_loss("remain", recipe.remain, REMAIN, recipe.alpha))
    parts.append(scope_words(recipe.scope))
    schedule = f"{counted(steps, 'step')} of {counted(recipe.batch, 'forget clip')}"
    if recipe.remain.name != "none":
        schedule += f" and {counted(recipe.remain_batch or recipe.batch, 'remain clip')}"
    parts.append(f"{schedule}, learning rate up to {recipe.lr:g} with a warm-up of {in_percent(recipe.warmup)}")
    parts.append(f"gradients clipped at norm {recipe.clip:g}")
    return "; ".join([*parts, *_further(recipe)])


def scope_words(scope):
    """What moves, of a Choice or of `training.scope` in the config."""
    if not isinstance(scope, Choice):
        given = training_scope(scope)
        scope = Choice(given.pop("name"), given)
    says = SCOPE[scope.name].says
    return f"what moved: {says}{_parameters(scope)}"


def _loss(kind, choice, table, weight):
    weighted = "" if weight == 1 else f" times {weight:g}"
    return f"{kind} loss {choice.name}{weighted} ({table[choice.name].says}{_parameters(choice)})"


def _parameters(choice):
    return "".join(_parameter(name, value) for name, value in choice.parameters.items())


def _parameter(name, value):
    """`, beta 2.5`; of a switch its name where it is on."""
    if isinstance(value, bool):
        return f", {name}" if value else ""
    return f", {name} {value:g}" if isinstance(value, int | float) else f", {name} {value}"


def _further(recipe):
    """Clauses on what a recipe says beyond losses, scope and schedule."""
    if recipe.p_uncond:
        yield f"captions hidden of {in_percent(recipe.p_uncond)} of the clips"
    if recipe.codebook_weights:
        yield f"codebooks weighted by {listed(f'{weight:g}' for weight in recipe.codebook_weights)}"
    if recipe.stop:
        yield f"stopped early where {STOPS[recipe.stop.metric]} (bound {recipe.stop.bound:g}), on dev clips"
    if recipe.pick != "last":
        yield f"kept are the weights of {PICKS[recipe.pick]}, on dev clips"
