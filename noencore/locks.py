"""Whether another run is at work in a directory, told apart from one that was killed there."""

import fcntl
from pathlib import Path


def hold_run_lock(directory):
    """Hold a lock on a .snakemake directory until the returned file is closed or the process ends.

    The kernel drops such a lock however its process ends. So where nobody holds it, the files in locks/ are left by a
    run that was killed; they are removed, or Snakemake would ask for `--unlock`. Beside a run that is alive they stay.
    """
    directory = Path(directory)
    directory.mkdir(exist_ok=True)
    held = (directory / "noencore.lock").open("a")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in (directory / "locks").glob("*.lock"):
            left.unlink(missing_ok=True)
        fcntl.flock(held, fcntl.LOCK_SH)  # from here on, two runs with other outputs may share the directory
    except BlockingIOError:
        fcntl.flock(held, fcntl.LOCK_SH)
    except OSError:
        pass  # a file system without such locks: Snakemake's own stay as they are
    return held
