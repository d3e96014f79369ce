import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(log, body):
    """Run a script that logs to `log`, then does `body`, in a process of its own."""
    text = f"import logging, warnings\nfrom noencore import logs\nlogs.start({str(log)!r})\n{body}\n"
    return subprocess.run(
        [sys.executable, "-c", text],
        cwd=ROOT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell has its background jobs ignore it
    )  # fmt: skip


def test_messages_go_to_the_log_and_to_stderr(tmp_path):
    log = tmp_path / "logs" / "rule.log"
    child = run(log, "logging.getLogger('noencore.tokens').info('12 clips')\nlogging.info('done')")
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "12 clips\ndone\n")
    assert "INFO noencore.tokens: 12 clips\n" in log.read_text()


def test_chatter_of_other_packages_stays_in_the_log(tmp_path):
    log = tmp_path / "rule.log"
    child = run(
        log,
        "logging.getLogger('other').warning('chatter')\n"
        "warnings.warn('old name')\n"
        "logging.getLogger('other.part').error('serious')",
    )
    assert child.stderr == "serious\n"
    assert "chatter" in log.read_text()
    assert "old name" in log.read_text()


def test_user_error_is_one_line_in_both_and_no_traceback(tmp_path):
    log = tmp_path / "rule.log"
    child = run(log, "from noencore.errors import UserError\nraise UserError('a.csv: no title; add it')")
    assert child.returncode == 1
    assert child.stderr == "error: a.csv: no title; add it\n"
    assert log.read_text() == "error: a.csv: no title; add it\n"


def test_other_errors_have_their_traceback_in_both(tmp_path):
    log = tmp_path / "rule.log"
    child = run(log, "1 / 0")
    assert child.returncode == 1
    for text in (child.stderr, log.read_text()):
        assert "Traceback (most recent call last)" in text
        assert text.endswith("ZeroDivisionError: division by zero\n")


def test_a_full_card_ends_in_a_line_with_the_cure(tmp_path):
    """Which the terminal shows last (terminal.show_error); the traceback before it says where."""
    log = tmp_path / "rule.log"
    said = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.6 GiB."
    child = run(log, f"import torch\nraise torch.OutOfMemoryError({said!r})")
    assert child.returncode == 1
    for text in (child.stderr, log.read_text()):
        assert "Traceback (most recent call last)" in text
        last = text.splitlines()[-1]
        assert last.startswith("error: GPU memory: CUDA out of memory; lower the batch of training")


def test_ctrl_c_is_no_traceback_whatever_an_extension_module_makes_of_it(tmp_path):
    """safetensors once made "could not determine the shape" of it."""
    log = tmp_path / "rule.log"
    interrupted = "import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    {}\n"
    for end in ("raise", "raise ValueError('no shape') from None"):
        child = run(log, interrupted.format(end))
        assert child.returncode != 0
        assert child.stderr == log.read_text() == "interrupted\n"


def test_a_second_try_starts_the_log_afresh(tmp_path):
    log = tmp_path / "rule.log"
    run(log, "logging.info('first')")
    run(log, "logging.info('second')")
    assert "first" not in log.read_text()


def test_progress_is_silent_without_a_terminal(tmp_path):
    child = run(tmp_path / "rule.log", "print(sum(logs.progress(range(4), 'clips')))")
    assert (child.stdout, child.stderr) == ("6\n", "")
