"""What every job of the workflow does first, and where it keeps what must survive a kill."""

import hashlib
from pathlib import Path

from noencore.files import sha256


def scratch_path(run, spec, code, inputs):
    """Where a job checkpoints: a file below `run`/scratch named by all that its result depends on.

    inputs: paths whose content counts. The file is no output of the job, so Snakemake does not delete it when the job
    is killed; and a job with another setting, code or input never reads it.
    """
    parts = [spec, code, *(sha256(path) for path in inputs)]
    return Path(run) / "scratch" / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}.safetensors"
