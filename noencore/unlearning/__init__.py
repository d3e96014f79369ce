"""Unlearning: what a recipe may say (recipes), its losses (objectives), batches, scopes, and its run (run, watch)."""
