"""Metrics: pure functions from stored values to rows, numpy only. One file in this room is one family."""

from noencore.metrics.distances import frechet_distance, kernel_distance

__all__ = ["frechet_distance", "kernel_distance"]
