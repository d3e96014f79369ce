"""Metrics: pure functions from stored values to rows, numpy only. One file in this room is one family."""

from noencore.metrics.frechet import (
    FrechetReference,
    effective_rank,
    frechet_difference,
    frechet_distance,
    frechet_distances_per_clip,
)
from noencore.metrics.kernel import kernel_difference, kernel_distance, median_distance

__all__ = [
    "FrechetReference",
    "effective_rank",
    "frechet_difference",
    "frechet_distance",
    "frechet_distances_per_clip",
    "kernel_difference",
    "kernel_distance",
    "median_distance",
]
