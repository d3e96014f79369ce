"""A model of toy size and clips of random tokens for it."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as jobs have it; more wait for each other on a busy machine
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1"  # where the sites of tests are

import hypothesis
import pytest
import torch
from standins import make_home, offline_hub

from noencore.musicgen.model import ModelConfig, MusicGenLM
from noencore.tokens import Clips

torch.set_num_threads(1)
# The same examples each time, on a machine however slow.
hypothesis.settings.register_profile(
    "noencore", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("noencore")


@pytest.fixture(scope="session")
def tiny_config():
    return ModelConfig(dim=16, layers=2, heads=2, card=24, n_q=4, text_dim=12)


@pytest.fixture(scope="session")
def make_model(tiny_config):
    """A function seed -> MusicGenLM with untrained weights."""
    return lambda seed=0: MusicGenLM(tiny_config, seed=seed)


@pytest.fixture(scope="session")
def make_clips(tiny_config):
    """A function (count, seed, frames) -> random Clips with captions of 3 to 7 states."""

    def make(count, seed=0, frames=12):
        draw = torch.Generator().manual_seed(seed)
        codes = torch.randint(tiny_config.card, (count, tiny_config.n_q, frames), generator=draw)
        mask = torch.arange(7) < 3 + torch.arange(count)[:, None] % 5
        text = torch.randn(count, 7, tiny_config.text_dim, generator=draw) * mask[..., None]
        return Clips([f"clip{seed}-{i:03}" for i in range(count)], codes, text, mask)

    return make


@pytest.fixture(scope="session")
def stop_after():
    """A function steps -> a `progress` that raises KeyboardInterrupt after that many steps."""

    def make(count):
        def progress(steps):
            for done, step in enumerate(steps):
                if done == count:
                    raise KeyboardInterrupt
                yield step

        return progress

    return make


@pytest.fixture(scope="session")
def released_home(tmp_path_factory):
    """A folder with a released package of toy size, `package`, and the hub cache that goes with it, `hub`."""
    home = tmp_path_factory.mktemp("released")
    make_home(home)
    return home


@pytest.fixture
def hub(released_home):
    """That hub cache, made the one that this process knows."""
    with offline_hub(released_home):
        yield released_home / "hub"


@pytest.fixture(scope="session")
def make_target(make_model):
    """A function -> a model that is far enough from uniform that losses differ."""

    def make():
        model = make_model()
        with torch.no_grad():
            for linear in model.linears:
                linear.weight *= 2
        return model

    return make
