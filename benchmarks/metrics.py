"""Audio metrics against their peers on the same embeddings: FAD, its bootstrap, FAD by clip, and KAD, in turn.

frechet_audio_distance runs its own function. fadtk, audioldm_eval and kadtk are not among our requirements, so theirs
are written here by what they compute: fadtk takes a square root by `sqrtm` and one by `eig` and `inv`,
audioldm_eval one by `sqrtm`, kadtk the whole kernel matrix in float32 with torch. Means and covariances count, for all.

`python -m benchmarks.metrics`; `--rounds` for a quick look.
"""

import argparse
import functools
import sys
import types
import warnings

import numpy as np
import torch

from benchmarks import measure
from noencore.metrics import FrechetReference, frechet_distance, frechet_distances_per_clip, kernel_distance
from noencore.metrics.frechet import frechet_replicates
from noencore.metrics.intervals import draw_works

D, CLIPS, REFERENCE, WINDOWS, DRAWS = 512, 100, 500, 21, 1000


def embeddings(seed, n, d=D):
    """Rows with the falling spectrum of a music embedding, [n, d]."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return (rng.standard_normal((n, d)) / np.arange(1, d + 1) ** 0.5) @ rotation + 0.02 * rng.standard_normal(d)


def moments(rows):
    return rows.mean(axis=0), np.cov(rows, rowvar=False)


def frechet_audio_distance():
    """Their distance from moments; the import of laion_clap, which wants tokenizers from the hub, is cut out."""
    sys.modules["laion_clap"] = types.ModuleType("laion_clap")
    from frechet_audio_distance.fad import FrechetAudioDistance

    return functools.partial(FrechetAudioDistance.calculate_frechet_distance, None)


def by_sqrtm(mean_1, covariance_1, mean_2, covariance_2):
    """What audioldm_eval 0.0.3 computes."""
    from scipy.linalg import sqrtm

    root = sqrtm(covariance_1 @ covariance_2)
    return ((mean_1 - mean_2) ** 2).sum() + np.trace(covariance_1 + covariance_2 - 2 * root.real)


def by_eig_too(mean_1, covariance_1, mean_2, covariance_2):
    """What fadtk 1.1.0 computes: the root by eigenvectors, and that of `sqrtm` to check it."""
    from scipy.linalg import eig, inv, sqrtm

    sqrtm(covariance_1 @ covariance_2)
    values, vectors = eig(covariance_1 @ covariance_2)
    root = (vectors * np.sqrt(values.astype(complex))) @ inv(vectors)
    return ((mean_1 - mean_2) ** 2).sum() + np.trace(covariance_1 + covariance_2 - 2 * root.real)


def by_whole_kernel(x, y):
    """What kadtk 1.1.0 computes: float32, bandwidth of the generated set."""
    x, y = (torch.tensor(rows, dtype=torch.float32) for rows in (x, y))
    gamma = 1 / (2 * torch.pdist(y).median() ** 2 + 1e-8)

    def kernel(a, b):
        return torch.exp(-gamma * ((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T))

    within = [(kernel(z, z).sum() - len(z)) / (len(z) * (len(z) - 1)) for z in (x, y)]
    return float(100 * (sum(within) - 2 * kernel(x, y).mean()))


def compare(ours, theirs, rounds, times=1):
    """Seconds of ours and of each peer, and their ratios. `ours` does at once what a peer does `times` over."""
    values = {name: run() for name, run in {"ours": ours, **theirs}.items()}
    seconds = measure.alternate({"ours": ours, **theirs}, rounds)
    seconds = {name: [s * (1 if name == "ours" else times) for s in of_run] for name, of_run in seconds.items()}
    return {
        "seconds": {name: measure.spread(of_run) for name, of_run in seconds.items()},
        "ratio": {name: measure.ratios(seconds[name], seconds["ours"]) for name in theirs},
        "difference": {name: abs(float(values[name] / np.ravel(values["ours"])[0]) - 1) for name in theirs},
    }


def distances(peers, rounds):
    """FAD of 100 clips, at two sizes of the reference."""
    found = {}
    for n in (CLIPS, REFERENCE):
        x, y = embeddings(0, n), embeddings(1, CLIPS)
        theirs = {name: (lambda peer=peer, x=x, y=y: peer(*moments(x), *moments(y))) for name, peer in peers.items()}
        found[f"FAD, {CLIPS} clips, reference {n}"] = compare(lambda x=x, y=y: frechet_distance(x, y), theirs, rounds)
    return found


def replicates(peers, rounds):
    """1000 bootstrap replicates; of the peers one is run, the reference's moments known, and counted 1000 times."""
    x, y = embeddings(0, REFERENCE), embeddings(1, CLIPS)
    drawn, of_reference = draw_works(CLIPS, 0, DRAWS), moments(x)
    repeated = np.repeat(y, drawn[0], axis=0)
    theirs = {name: (lambda peer=peer: peer(*of_reference, *moments(repeated))) for name, peer in peers.items()}
    return compare(lambda: frechet_replicates(x, y, drawn), theirs, rounds, DRAWS)


def per_clip(peers, rounds):
    """FAD of each of 100 clips of 21 windows, the reference's moments known; of the peers one clip is run."""
    x, windows = embeddings(0, REFERENCE), embeddings(1, CLIPS * WINDOWS)
    fitted, of_reference, clips = FrechetReference.of(x), moments(x), np.repeat(np.arange(CLIPS), WINDOWS)
    theirs = {
        name: (lambda peer=peer: peer(*of_reference, *moments(windows[:WINDOWS]))) for name, peer in peers.items()
    }
    return compare(lambda: frechet_distances_per_clip(fitted, windows, clips), theirs, rounds, CLIPS)


def kernels(rounds):
    x, y = embeddings(0, 1000), embeddings(1, 500)
    return compare(lambda: kernel_distance(x, y, "eval"), {"kadtk": lambda: by_whole_kernel(x, y)}, rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")  # of sqrtm, about singular products
    peers = {"frechet_audio_distance": frechet_audio_distance(), "fadtk": by_eig_too, "audioldm_eval": by_sqrtm}
    found = distances(peers, rounds)
    found[f"{DRAWS} bootstrap replicates of FAD, {CLIPS} clips"] = replicates(peers, rounds)
    found[f"FAD of each of {CLIPS} clips, {WINDOWS} windows"] = per_clip(peers, rounds)
    found["KAD, 500 clips, reference 1000"] = kernels(rounds)
    measure.save("metrics", {"d": D, "found": found})


if __name__ == "__main__":
    main()
