"""Is our engine audiocraft's on this package? `python -m noencore.musicgen DIRECTORY`

Loads a released-format package in both, on the CPU in fp32, and compares the logits of random codes, with a caption and
without, the greedy tokens of a generation with classifier-free guidance, and the time that it takes. The text encoder
is the package's T5 where the hub cache holds it; otherwise random text states go through the package's own projection.

Exit status: 0 where the logits agree within 1e-4 of the largest and all tokens are equal, 1 where they do not, 2 with
one line for a mistake of the user. audiocraft is imported here as well as in `codec.py`: it is what this measures.
"""

import argparse
import logging
import os
import sys
import time
import warnings

import torch

from noencore.errors import UserError
from noencore.hub import find_package
from noencore.musicgen.decode import generate
from noencore.musicgen.loss import delay
from noencore.musicgen.released import load_released, text_encoder_name
from noencore.text import T5Encoder

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # `import audiocraft` imports laion_clap, which would ask the hub

CAPTION = "A lively reel in D major, played on the fiddle."
STEPS, CFG, TOLERANCE = 100, 3.0, 1e-4


def main(arguments=None):
    """Compare, print what was found, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m noencore.musicgen", description=__doc__.splitlines()[0])
    parser.add_argument("package", metavar="DIRECTORY", help="a released package, or its name in the hub cache")
    package = parser.parse_args(arguments).package
    logging.getLogger("xformers").setLevel(logging.ERROR)  # its CUDA extensions do not load, and none is used
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            return check(find_package(package))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def check(directory):
    """Compare both engines on the package in a directory; 0 where they agree, else 1."""
    ours = load_released(directory)
    config, parameters = ours.config, sum(p.numel() for p in ours.parameters())
    print(f"{directory}: {parameters / 1e6:.1f} M parameters, {config.layers} layers of {config.dim}")
    text, stored = _text_states(directory, config.text_dim)
    theirs, condition = _audiocraft(directory, stored)
    mask = torch.ones(text.shape[:2], dtype=torch.bool)

    codes = torch.randint(config.card, (1, config.n_q, STEPS), generator=torch.Generator().manual_seed(0))
    sequence = delay(codes, config.card)
    found = torch.cat([ours(sequence, text, mask), ours(sequence, text, ~mask)])
    wanted = torch.cat([theirs(sequence, condition(CAPTION)), theirs(sequence, condition(None))])
    difference = float((found - wanted).abs().max())
    relative = difference / float(wanted.abs().max())
    print(f"logits: largest difference {difference:.2g}, {relative:.2g} of the largest logit")

    found, our_time = _timed(lambda steps: generate(ours, text, mask, steps, cfg=CFG))
    options = {"use_sampling": False, "cfg_coef": CFG}
    wanted, their_time = _timed(lambda steps: theirs.generate(None, condition(CAPTION), max_gen_len=steps, **options))
    equal, count = int((found == wanted).sum()), wanted.numel()
    print(f"greedy tokens: {equal} of {count} equal ({equal / count:.1%}) over {STEPS} steps, CFG {CFG:g}")
    print(
        f"speed: {their_time / our_time:.2f} times audiocraft's ({our_time:.2f} s against {their_time:.2f} s for one "
        f"clip, fp32, CPU, {torch.get_num_threads()} threads)"
    )
    wrong = ["logits"] * (not relative <= TOLERANCE) + ["tokens"] * (equal < count)  # NaN is wrong too
    print("the engines agree" if not wrong else f"the engines DISAGREE: {' and '.join(wrong)}")
    return int(bool(wrong))


def _text_states(directory, width):
    """States [1, L, width] of CAPTION, and whether they had to be random: (states, None) or (states, states)."""
    name = text_encoder_name(directory)
    try:
        states = T5Encoder(name, dtype=torch.float32).encode(CAPTION)[None]
    except UserError as error:
        print(f"text: RANDOM states stand in for those of {name}, so the text encoder is not compared ({error})")
        states = torch.randn(1, 16, width, generator=torch.Generator().manual_seed(1))
        return states, states
    print(f"text: states of {name}")
    return states, None


def _audiocraft(directory, states):
    """audiocraft's language model, and a function from a caption, or None, to its list of conditions.

    states [1, L, text_dim]: what every caption gives in place of T5, which is then not loaded.
    """
    from audiocraft.models import builders, loaders
    from audiocraft.modules.conditioners import ConditioningAttributes, TextConditioner
    from omegaconf import OmegaConf

    class StoredStates(TextConditioner):
        def tokenize(self, captions):
            return torch.tensor([[c is not None] * states.shape[1] for c in captions]).int()

        def forward(self, mask):
            return self.output_proj(states) * mask.unsqueeze(-1), mask

    def condition(caption):
        return [ConditioningAttributes(text={"description": caption})]

    if states is None:
        return loaders.load_lm_model(str(directory), device="cpu"), condition
    package = loaders.load_lm_model_ckpt(str(directory))
    config = OmegaConf.create(package["xp.cfg"])
    config.update(device="cpu", dtype="float32", conditioners={})
    model = builders.get_lm_model(config)
    model.condition_provider.conditioners["description"] = StoredStates(states.shape[-1], config.transformer_lm.dim)
    model.load_state_dict(package["best_state"])
    return model.eval(), condition


def _timed(function):
    """What `function` of STEPS returns, and the seconds that it took, after a short call to warm up."""
    function(4)
    start = time.perf_counter()
    result = function(STEPS)
    return result, time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
