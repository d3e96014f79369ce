"""What one step of unlearning reads: forget clips, remain clips, and the target's values of the same rows.

Everything is a function of the run's seed and the step, and is drawn for the whole batch before it is split, so that
micro-batches give the gradient of one big batch and a resumed run is an uninterrupted one.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from noencore.errors import UserError
from noencore.musicgen.loss import codebook_mean
from noencore.tokens import Clips
from noencore.training import batch_indices


@dataclass(frozen=True)
class Batch:
    """One step's clips. B rows of forget, partner, random_codes and forget_values; R rows of remain and its values.

    partner: remain clips that lend a caption or audio to the forget clips. random_codes: uniform tokens [B, K, T].
    forget_values, remain_values: what the target said of the same rows, under the caption that the row shows:
      nll [B] per-token NLL, start [B] the whole set's mean of it, norms [B, layers] mean norms of hidden states;
      index, logp [B, K, T, k] and rest [B, K, T] a distribution (see reference.py);
      codes [B, K, T] and codes_nll [B] another clip for the same caption.
    seed: the run's.
    """

    forget: Clips
    partner: Clips
    random_codes: torch.Tensor
    forget_values: dict
    remain: Clips | None = None
    remain_values: dict | None = None
    codebook_weights: torch.Tensor | None = None
    seed: int = 0

    def split(self, parts):
        """At most `parts` batches of consecutive rows; those of remain are dealt out alike."""
        forget = np.array_split(np.arange(len(self.forget)), parts)
        remain = np.array_split(np.arange(0 if self.remain is None else len(self.remain)), parts)
        return [self._rows(f, r) for f, r in zip(forget, remain) if len(f) or len(r)]

    def _rows(self, forget, remain):
        rows = replace(
            self,
            forget=self.forget.take(forget),
            partner=self.partner.take(forget),
            random_codes=self.random_codes[forget],
            forget_values={key: value[forget] for key, value in self.forget_values.items()},
        )
        if self.remain is None:
            return rows
        values = {key: value[remain] for key, value in self.remain_values.items()}
        return replace(rows, remain=self.remain.take(remain), remain_values=values)

    def to(self, device):
        return replace(self, **{one.name: _to(getattr(self, one.name), device) for one in fields(self)})


def _to(value, device):
    if isinstance(value, dict):
        return {key: item.to(device) for key, item in value.items()}
    return value.to(device) if isinstance(value, Clips | torch.Tensor) else value


class Batches:
    """The batches of a run, by step, on the CPU.

    forget, remain: all clips to unlearn, and those that the recipe may rehearse on. reference: dict kind -> tensors of
    `reference.py`, of every kind that the recipe reads. Raises UserError where one is missing, or where
    codebook_weights are not as many as there are codebooks.
    """

    def __init__(self, recipe, forget, remain, reference, seed, card):
        if missing := sorted(set(recipe.reads()) - set(reference)):
            raise UserError(
                f"recipe {recipe.name}: needs the target's {missing[0]}, which is not there; run `snakemake` for it"
            )
        self.recipe, self.forget, self.remain, self.reference = recipe, forget, remain, reference
        self.seed, self.card = seed, card
        self.weights = None
        if recipe.codebook_weights is not None:
            self.weights = torch.tensor(recipe.codebook_weights, dtype=torch.float32)
            if len(self.weights) != forget.codes.shape[1]:
                raise UserError(
                    f"config: recipes.{recipe.name}.codebook_weights: {len(self.weights)} weights for "
                    f"{forget.codes.shape[1]} codebooks; give one each"
                )
        self.paired = partners(len(forget), len(remain), seed)

    def at(self, step):
        recipe, draw_seed = self.recipe, self.seed * 1_000_003 + step
        index = batch_indices(len(self.forget), recipe.batch, step, self.seed)
        hidden = np.random.default_rng([self.seed, 5, step]).random(len(index)) < recipe.p_uncond
        generator = torch.Generator().manual_seed(draw_seed)
        batch = Batch(
            forget=hide(self.forget.take(index), hidden),
            partner=hide(self.remain.take(self.paired[index]), hidden),
            random_codes=torch.randint(self.card, self.forget.codes[index].shape, generator=generator),
            forget_values=self._values("forget", index, hidden),
            codebook_weights=self.weights,
            seed=self.seed,
        )
        if recipe.remain.name == "none":
            return batch
        index = remain_indices(len(self.remain), recipe.remain_batch or recipe.batch, step, self.seed)
        hidden = np.random.default_rng([self.seed, 6, step]).random(len(index)) < recipe.p_uncond
        remain = hide(self.remain.take(index), hidden)
        return replace(batch, remain=remain, remain_values=self._values("remain", index, hidden))

    def _values(self, name, index, hidden):
        """The target's values of some rows of forget or remain, from the condition that each row shows."""
        values, hidden = {}, torch.from_numpy(hidden)
        for kind in self.recipe.reads():
            stored = self.reference[kind]
            if kind == f"{name}_nll":
                nll = {key: codebook_mean(stored[key], self.weights) for key in ("caption", "null")}
                values["nll"] = torch.where(hidden, nll["null"][index], nll["caption"][index])
                values["start"] = torch.where(hidden, nll["null"].mean(), nll["caption"].mean())
                values["norms"] = stored["norms"].expand(len(index), -1)
            elif kind == "alternatives" and name == "forget":
                nll = {key: codebook_mean(stored[key][index], self.weights) for key in ("caption", "null")}
                values["codes"] = stored["codes"][index].long()
                values["codes_nll"] = torch.where(hidden, nll["null"], nll["caption"])
            elif kind.startswith(f"{name}_"):
                rows = {key: stored[key][index] for key in stored}
                if values.get("index") is not None:  # caption, then null
                    rows = {key: torch.where(_as(hidden, rows[key]), rows[key], values[key]) for key in rows}
                values |= rows
        return values


def _as(rows, like):
    """A mask of rows [B] in the shape [B, 1, ...] of another tensor's dimensions."""
    return rows.view(-1, *[1] * (like.dim() - 1))


def partners(forget, remain, seed):
    """The remain clip that lends each forget clip a caption or audio: int array [forget]."""
    return np.random.default_rng([seed, 3]).integers(remain, size=forget)


def remain_indices(size, batch, step, seed):
    """Positions of the remain clips of one step, always `batch`: orders of all clips, drawn anew, one after another."""
    positions = step * batch + np.arange(batch)
    orders = {e: np.random.default_rng([seed, 4, e]).permutation(size) for e in np.unique(positions // size).tolist()}
    return np.array([orders[position // size][position % size] for position in positions.tolist()])


def hide(clips, rows):
    """The same clips without captions in some rows (bool [B]): the null condition there."""
    if not rows.any():
        return clips
    return Clips(clips.ids, clips.codes, clips.text, clips.text_mask & ~torch.from_numpy(rows)[:, None])
