"""Metrics: pure functions from stored values to rows, numpy only. One file in this room is one family."""

from noencore.metrics.frechet import frechet_distance

__all__ = ["frechet_distance"]
