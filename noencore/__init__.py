"""noencore: take works out of a text-to-music model, and measure honestly how far that went."""

__version__ = "0.1.0"
