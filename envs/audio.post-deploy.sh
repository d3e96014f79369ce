#!/usr/bin/env bash
# Generated from requirements.txt by `make envs`: change it there.
set -euo pipefail
python -m pip install --no-deps audiocraft==1.3.0 frechet-audio-distance==0.3.4 laion-clap==1.1.7 musicnn==0.1.0
