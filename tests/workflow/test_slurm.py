"""profiles/slurm on a real queue: `.ci/slurm up DIR` starts one, a node with two pretended cards."""

import re
import shutil
import signal
import subprocess
import time

import pytest
from workflow_tree import ROOT, Tree

PROFILE = "profiles/slurm/config.yaml"
SMOKE = ("presets/smoke.yaml",)
# The test queue has no accounting, and its jobs are short: asked after 2 s, while nothing ends after 12, 22, 32 more.
OPTIONS = [
    *("--workflow-profile", "profiles/slurm", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "2"),
]
ON_A_CARD = ("train", "unlearn", "score", "generate")
KILLED = "rule_train_wildcards_target-0"
# Training does not end before it is killed, however late that is.
UNTIL_KILLED = """
import time
from pathlib import Path
while not Path("killed").exists():
    time.sleep(0.1)
"""
FOR_EVER = "import time\ntime.sleep(600)\n"
PATIENCE = 2700.0  # s for a run: 19 minutes were seen on two cores at a load of 8 to 19


def is_up():
    """Whether the queue of .ci/slurm answers. No other is ever given a job."""
    if shutil.which("scontrol") is None:
        return False
    shown = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, check=False)
    return shown.returncode == 0 and bool(re.search(r"^ClusterName\s*= noencore-test$", shown.stdout, re.MULTILINE))


pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(not is_up(), reason="no SLURM answers here; `.ci/slurm up DIR` starts one, as root on Debian"),
]


class Run:
    """A run of the smoke preset that goes on beside the tests."""

    def __init__(self, root, *options, script="catalogue.py", before="", after=""):
        self.tree = Tree.of_repository(root)
        self.tree.results = self.tree.root / "results/smoke"
        path = self.tree.root / "workflow/scripts" / script
        path.write_text(before + path.read_text() + after)
        self.said, self.seen, self.killed = self.tree.root / "said.txt", [], None
        with self.said.open("w") as said:
            command = self.tree.command(*options, configfiles=SMOKE)
            self.driver = subprocess.Popen(
                command, cwd=self.tree.root, env=self.tree.environment(), stdout=said, stderr=said
            )

    def wait(self, look=lambda: None):
        """What the run said, when it has ended; `look` is called twice a second until then."""
        deadline = time.monotonic() + PATIENCE
        while self.driver.poll() is None:
            assert time.monotonic() < deadline, self.said.read_text()[-5000:]
            look()
            time.sleep(0.5)
        return self.said.read_text()

    def watch(self):
        """Note what is in the queue, and kill the training of the target once it has begun."""
        jobs = queue(self.tree.root)
        self.seen.append(jobs)
        begun = (self.tree.results / "logs/train/target-0.log").exists()
        running = [job["id"] for job in jobs if job["comment"] == KILLED and job["state"] == "RUNNING"]
        if running and begun and not self.killed:
            self.killed = running[0]
            subprocess.run(["scancel", "--signal=KILL", "--full", self.killed], check=True)
            (self.tree.root / "killed").touch()


def queue(root):
    """The jobs of a run, ended ones too: dicts of id, state, comment, reason, and cards and memory asked for."""
    names = ("id", "state", "comment", "reason", "cards", "memory", "root")
    fields = "JobID:|,State:|,Comment:|,Reason:|,tres-per-job:|,MinMemory:|,WorkDir:"
    command = ["squeue", "--states=all", "--noheader", "--Format", fields]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    jobs = [dict(zip(names, line.split("|"))) for line in shown.stdout.splitlines()]
    return [job for job in jobs if job["root"].strip() == str(root)]


def on_a_card(jobs, state):
    wanted = tuple(f"rule_{rule}_" for rule in ON_A_CARD)
    return [job for job in jobs if job["state"] == state and job["comment"].startswith(wanted)]


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The runs of this file, side by side: most of their time is waiting."""
    root = tmp_path_factory.mktemp("slurm")
    catalogue = (*OPTIONS, "results/smoke/catalogue.parquet", "--retries", "0", "--set-resources")
    runs = {
        "smoke": Run(root / "smoke", *OPTIONS, script="train.py", after=UNTIL_KILLED),
        "local": Run(root / "local", "--cores", "2"),
        "slow": Run(root / "slow", *catalogue, "catalogue:runtime=1", before=FOR_EVER),
        "large": Run(root / "large", *catalogue, "catalogue:mem_mb=400", before="held = b'1' * 2**30\n" + FOR_EVER),
    }
    yield runs
    for run in runs.values():
        if run.driver.poll() is None:
            run.driver.send_signal(signal.SIGINT)  # cancels its jobs


@pytest.fixture(scope="module")
def smoke(started):
    run = started["smoke"]
    said = run.wait(run.watch)
    assert run.driver.returncode == 0, said[-5000:]
    return run


def test_the_tables_are_those_of_a_run_without_a_queue(smoke, started):
    local = started["local"]
    said = local.wait()
    assert local.driver.returncode == 0, said[-5000:]
    there, here = smoke.tree.files("tables/*"), local.tree.files("tables/*")
    assert there.keys() == here.keys()
    assert {name for name in there if there[name] != here[name]} <= {
        f"tables/cost.{kind}" for kind in ("csv", "md", "tex")
    }  # seconds
    assert len(there) == 18


def test_a_job_that_was_killed_is_sent_again_with_twice_the_memory(smoke):
    sent = {job["id"]: job["memory"] for jobs in smoke.seen for job in jobs if job["comment"] == KILLED}
    assert next(iter(sent)) == smoke.killed
    first, second = (int(memory.removesuffix("M")) for memory in sent.values())
    assert second == pytest.approx(2 * first, abs=2)
    assert "Trying to restart job" in smoke.said.read_text()


def test_two_jobs_share_the_two_cards_and_a_third_waits(smoke):
    running = [on_a_card(jobs, "RUNNING") for jobs in smoke.seen]
    assert max(map(len, running)) == 2
    assert all(job["cards"] == "gres:gpu:1" for jobs in running for job in jobs)
    waiting = [on_a_card(jobs, "PENDING") for jobs, run in zip(smoke.seen, running) if len(run) == 2]
    assert any(job["reason"] in ("Resources", "Priority") for jobs in waiting for job in jobs)


def test_short_jobs_go_together(smoke):
    sent = {job["comment"].removeprefix("rule_") for jobs in smoke.seen for job in jobs}
    short = {
        comment
        for comment in sent
        if comment.startswith(("tokens", "measure", "compare", "tables", "curves", "figures"))
    }
    assert sorted(comment.split("_")[0] for comment in short) == ["tables", "tokens"]  # a group's name comes first
    assert all(rule in max(short, key=len) for rule in ("compare", "curves", "figures"))


@pytest.mark.parametrize(
    ("name", "limit", "cure"),
    [("slow", "1 minutes of time", "runtime"), ("large", "400 MB of memory", "mem_mb")],
)
def test_a_job_past_its_limit_is_reported_with_the_line_to_change(started, name, limit, cure):
    run = started[name]
    said = run.wait()
    assert run.driver.returncode != 0
    last = said.strip().splitlines()[-1]
    line = 1 + next(n for n, text in enumerate((ROOT / PROFILE).read_text().splitlines()) if "  catalogue: {" in text)
    assert last.startswith("error: results/slurm_logs/rule_catalogue/"), said[-3000:]
    assert f"rule catalogue was stopped by SLURM at {limit}; raise its {cure} in {PROFILE}, line {line}" in last
