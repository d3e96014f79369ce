"""What a SLURM queue has to say: which jobs it stopped at their limits, and which line of the profile to change."""

import re
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

LIMITS = {  # resource: what slurmstepd writes into the job's log
    "runtime": re.compile("DUE TO TIME LIMIT"),
    "mem_mb": re.compile(r"exceeded memory limit|oom[-_ ]kill|out-of-memory handler", re.IGNORECASE),
}
NAMES = {"runtime": ("minutes", "time"), "mem_mb": ("MB", "memory")}


@dataclass(frozen=True)
class Stopped:
    """A job stopped at its limit of a resource: the rule it was at, how much it had ("" if unknown), its log."""

    rule: str
    resource: str
    had: str
    log: Path


def stopped_jobs(logs, since=0.0):
    """The last job of each rule and resource that the queue stopped, from its logs below a directory.

    Only of logs written since a time (s since 1970). Those of jobs that ended well are deleted by the executor.
    """
    written = {path: path.stat().st_mtime for path in Path(logs).rglob("*.log")}
    found = [_stopped(path) for path in sorted(written, key=written.get) if written[path] >= since]
    return list({(job.rule, job.resource): job for job in found if job}.values())


def _stopped(path):
    text = path.read_text(errors="replace")
    resource = next((name for name, words in LIMITS.items() if words.search(text)), None)
    if resource is None:
        return None
    rules = re.findall(r"^ *(?:local)?rule (\w+):$", text, re.MULTILINE)  # of a group, the one that had begun last
    had = re.findall(rf"\b{resource}=(\d+)", text)
    if not rules:  # stopped before Snakemake was up
        rules = [part.removeprefix("rule_") for part in path.parts if part.startswith("rule_")] or [path.parent.name]
    return Stopped(rules[-1], resource, had[-1] if had else "", path)


def advice(job, profile):
    """One line that says what happened to a stopped job, and which line of a profile's config.yaml to change."""
    unit, kind = NAMES[job.resource]
    lines = Path(profile).read_text().splitlines() if Path(profile).exists() else []
    number = next((number for number, line in enumerate(lines, 1) if re.match(rf" +{job.rule}:", line)), None)
    where = f"{profile}, line {number}" if number else f"{profile}, under set-resources"
    limit = f"{job.had} {unit} of {kind}" if job.had else kind
    return f"{job.log}: rule {job.rule} was stopped by SLURM at {limit}; raise its {job.resource} in {where}"


def show_stopped(word, logs, profile, since):
    """Print the advice on all stopped jobs to stderr, behind a word such as `error`."""
    for job in stopped_jobs(logs, since):
        print(f"{word}: {advice(job, profile)}", file=sys.stderr)


def profile_of(arguments):
    """The config.yaml of the workflow profile that a command line of Snakemake names, or None."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    named = [after for before, after in pairwise(words) if before in ("--workflow-profile", "--profile")]
    return f"{named[-1].rstrip('/')}/config.yaml" if named else None
