"""Logging and progress for the workflow's scripts: all to the log file, the useful part to stderr."""

import logging
import signal
import sys
import traceback
from pathlib import Path

from noencore.errors import UserError

OURS = ("root", "__main__", "noencore")

log = logging.getLogger("noencore")

LESS_MEMORY = (
    "lower the batch of training, of the recipe or of generate, or see `snakemake preflight` for what else helps"
)


def start(log_path):
    """Send messages to `log_path` and to stderr, and let an exception end the process with a report in both.

    Info and warnings of other packages go to the file only. A UserError leaves one line, `error: ...`, and no
    traceback in either; Ctrl-C leaves `interrupted`.
    """
    log_path = Path(log_path)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log_path.write_text("")
    file = logging.FileHandler(log_path, encoding="utf-8")  # appends: a package may close it (submitit), it opens again
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(logging.Formatter("%(message)s"))
    terminal.addFilter(_is_for_the_user)
    logging.basicConfig(level=logging.INFO, handlers=[file, terminal], force=True)
    logging.captureWarnings(True)

    interrupts = []

    def on_interrupt(number, frame):
        interrupts.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, on_interrupt)

    def report(kind, error, trace):
        text = "".join(traceback.format_exception(kind, error, trace))
        if interrupts or issubclass(kind, KeyboardInterrupt):  # extension modules make other errors of an interrupt
            text = "interrupted\n"
        elif issubclass(kind, UserError):
            text = f"error: {error}\n"
        elif kind.__name__ == "OutOfMemoryError":  # torch's, which is not imported for it
            text += f"error: GPU memory: {str(error).partition('. ')[0]}; {LESS_MEMORY}\n"
        with log_path.open("a", encoding="utf-8") as log_file:
            log_file.write(text)
        sys.stderr.write(text)

    sys.excepthook = report


def progress(iterable, desc, total=None):
    """`iterable` behind a progress bar on stderr; silent where stderr is not a terminal."""
    from tqdm import tqdm

    return tqdm(iterable, desc=desc, total=total, disable=None, leave=False)


def _is_for_the_user(record):
    return record.levelno >= logging.ERROR or record.name.split(".")[0] in OURS
