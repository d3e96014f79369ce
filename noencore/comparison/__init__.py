"""Comparison of models: tables, the findings of the paper, paired tests.

A model is named `<recipe>-<seed>`; the recipes `target` and `gold` are the two kinds of trained models, and
their seed is a train_seed. Every other seed is an unlearn_seed.
"""
