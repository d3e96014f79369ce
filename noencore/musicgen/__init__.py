"""MusicGen in plain PyTorch: the model, its loss, its decoding, its files. Nothing here needs audiocraft."""
