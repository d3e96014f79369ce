"""Dataset inference: can an artist prove that their works were learned, from the scores of all of them together?"""

import numpy as np

SPLITS = 20
MINIMUM = 10  # works of a side, which is halved


def dataset_inference(positive, negative, seed, splits=SPLITS):
    """Is a set of works learned as a whole? Features [n1, f] and [n0, f], a row a work: (p, effect).

    On a random half of the works of either side a logistic regression learns to tell the sides apart; on the other half
    a one-sided Welch test asks whether its scores are higher for `positive`. That is done for several splits; p is
    twice the median of theirs, at most 1, a valid p value whatever their dependence (Meinshausen et al., 2009, arXiv
    0811.2177, with gamma = 1/2). effect: median over splits of Cohen's d of the scores. After Maini et al. (2024, arXiv
    2406.06443). The works of both sides have to be exchangeable but for the learning: else p tests that.
    """
    from scipy.stats import ttest_ind
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    sides = [np.asarray(side, np.float64) for side in (positive, negative)]
    if min(len(side) for side in sides) < 4:
        raise ValueError(f"{len(sides[0])} and {len(sides[1])} works: at least 4 of each are needed to halve them")
    rng = np.random.default_rng(seed)
    p_values, effects = [], []
    for _ in range(splits):
        halves = [np.array_split(side[rng.permutation(len(side))], 2) for side in sides]
        (seen_1, new_1), (seen_0, new_0) = halves
        classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
        classifier.fit(np.concatenate([seen_1, seen_0]), [1] * len(seen_1) + [0] * len(seen_0))
        of_1, of_0 = classifier.decision_function(new_1), classifier.decision_function(new_0)
        p_values.append(ttest_ind(of_1, of_0, equal_var=False, alternative="greater").pvalue)
        effects.append(_cohens_d(of_1, of_0))
    return min(1.0, 2 * float(np.median(p_values))), float(np.median(effects))


def _cohens_d(x, y):
    freedom = len(x) + len(y) - 2
    pooled = ((len(x) - 1) * x.var(ddof=1) + (len(y) - 1) * y.var(ddof=1)) / freedom
    return (x.mean() - y.mean()) / np.sqrt(pooled)
