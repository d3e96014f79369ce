"""Unlearning: what a recipe is made of (objectives) and how it is run (recipes)."""
