"""What a job's log tells of the queue that stopped it."""

import os

import pytest

from noencore.cluster import advice, profile_of, show_stopped, stopped_jobs

STARTED = """rule unlearn:
    jobid: 0
    resources: mem_mb=8000, mem_mib=7630, runtime=240, gpu=1
"""
TIME = "slurmstepd: error: *** STEP 7.0 ON n1 CANCELLED AT 2026-11-25T17:28:44 DUE TO TIME LIMIT ***\n"
# As accounting by polling, a cgroup, and Slurm 23 with a cgroup say it.
MEMORY = [
    "slurmstepd: error: StepId=1.0 exceeded memory limit (913801216 > 314572800), being killed\n",
    "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=7.0. Some of your processes may have been killed\n",
    "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0. Some of the step tasks have been OOM Killed.\n",
]


@pytest.fixture
def logs(tmp_path):
    """A function (path, text, age in s) that writes a log."""

    def write(path, text, age=0):
        path = tmp_path / "logs" / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1000 - age, 1000 - age))
        return path

    return write


@pytest.mark.parametrize(
    ("words", "resource", "had"), [(TIME, "runtime", "240"), *((m, "mem_mb", "8000") for m in MEMORY)]
)
def test_the_limit_and_what_it_was(logs, tmp_path, words, resource, had):
    path = logs("rule_unlearn/ga-0/7.log", STARTED + words)
    [job] = stopped_jobs(tmp_path)
    assert (job.rule, job.resource, job.had, job.log) == ("unlearn", resource, had, path)


def test_a_job_stopped_before_it_said_its_rule_is_known_by_the_place_of_its_log(logs, tmp_path):
    logs("rule_unlearn/ga-0/7.log", MEMORY[0])
    [job] = stopped_jobs(tmp_path)
    assert (job.rule, job.resource, job.had) == ("unlearn", "mem_mb", "")


def test_a_job_that_failed_by_itself_was_not_stopped(logs, tmp_path):
    logs("rule_unlearn/ga-0/7.log", STARTED + "error: ga: no clips; add some\n")
    assert stopped_jobs(tmp_path) == []
    assert stopped_jobs(tmp_path / "nowhere") == []


def test_of_a_group_it_is_the_rule_that_began_last(logs, tmp_path):
    logs("group_tables/9.log", f"    rule compare:\n    resources: runtime=10\n    {STARTED}{TIME}")
    assert stopped_jobs(tmp_path)[0].rule == "unlearn"


def test_the_last_of_each_rule_and_nothing_of_an_earlier_run(logs, tmp_path):
    logs("rule_unlearn/ga-0/1.log", STARTED.replace("240", "120") + TIME, age=500)
    logs("rule_unlearn/ga-0/9.log", STARTED.replace("240", "480") + TIME, age=100)
    logs("rule_unlearn/ga-0/8.log", STARTED + TIME, age=200)
    assert [job.had for job in stopped_jobs(tmp_path)] == ["480"]
    assert stopped_jobs(tmp_path, since=950) == []


def test_the_advice_names_the_line_of_the_profile(logs, tmp_path, capsys):
    path = logs("rule_unlearn/ga-0/7.log", STARTED + TIME, age=0)
    profile = tmp_path / "config.yaml"
    profile.write_text("set-resources:\n  train: {gpu: 1}\n  unlearn: {gpu: 1}\n")
    show_stopped("error", tmp_path / "logs", profile, 0)
    assert capsys.readouterr().err == (
        f"error: {path}: rule unlearn was stopped by SLURM at 240 minutes of time; "
        f"raise its runtime in {profile}, line 3\n"
    )
    profile.write_text("set-resources:\n  train: {gpu: 1}\n")
    assert advice(stopped_jobs(tmp_path)[0], profile).endswith(f"in {profile}, under set-resources")


@pytest.mark.parametrize(
    ("arguments", "profile"),
    [
        (["snakemake", "--workflow-profile", "profiles/slurm"], "profiles/slurm/config.yaml"),
        (["snakemake", "--workflow-profile=mine/", "--cores", "2"], "mine/config.yaml"),
        (["snakemake", "--cores", "2"], None),
    ],
)
def test_the_profile_of_a_command_line(arguments, profile):
    assert profile_of(arguments) == profile
