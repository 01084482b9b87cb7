"""A night's tallies as one page of Markdown, and its head for the README. No figure is not from a tally."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.nightly.campaign import Tally

BEGIN, END = "<!-- nightly -->", "<!-- /nightly -->"
"""What stands between these in the README is written by each recorded night."""

LOST = re.compile(r"^[^:]*\b(lost|doubled|mismatch(es)?|escaped)\b")
"""A count with one of these words, not as the name of a fault, must be 0."""

ROWS_MAX = 40
"""A group of more counts than that is told in a paragraph."""

TITLES = {
    "simulation": "Simulation",
    "kills": "Real processes killed and stopped",
    "fuzz": "Fuzz",
    "differential": "Kernels against their references",
    "crash_points": "Crash points",
    "soak": "Soak: a steady load",
    "overload": "Overload: five times what is allowed",
    "crowds": "Crowds: connections and subscribers",
    "long_tests": "Tests marked nightly",
}
"""The campaigns in the order of their sections; others follow, by name."""


class Night(NamedTuple):
    """One run of every campaign: `seconds` of wall time, `date` in UTC."""

    date: str
    machine: str
    commit: str
    command: str
    seed: int
    seconds: float
    tallies: Sequence[Tally]


class Headline(NamedTuple):
    """A line of the first table: the counts of a campaign whose names match, added up."""

    words: str
    campaign: str
    counts: str


HEADLINES = (
    Headline("seeds simulated", "simulation", "seeds"),
    Headline("commands, with every law checked after each", "simulation", "commands"),
    Headline("simulated hours", "simulation", "simulated hours"),
    Headline("faults, by kind below", "simulation", "faults"),
    Headline("shapes covered", "simulation", "shapes covered"),
    Headline("processes killed, and survived", "kills", "kills.*"),
    Headline("processes stopped and continued", "kills", "stops.*"),
    Headline("power cuts", "kills", "power cuts"),
    Headline("bytes written, not synced, and gone with the power", "kills", "unsynced bytes gone.*"),
    Headline("orders answered meanwhile", "kills", "orders answered"),
    Headline("orders and cancels in the soak", "soak", "commands in the journal"),
    Headline("connections at once", "crowds", "connections logged on"),
    Headline("readers of the feed at once", "crowds", "readers of the feed"),
    Headline("frames and inputs tried", "fuzz", "(frames|inputs) tried.*"),
    Headline("commands compared with a reference", "differential", "commands compared .*"),
    Headline("crash points tried", "crash_points", "crash points tried.*"),
    Headline("damaged records tried, and found", "crash_points", "damaged records found"),
)


def page_of(night: Night) -> str:
    """Return the page: what was lost, the headline, then a table for each campaign."""
    parts = ["# The last recorded night", verdict(night), headline(night), conditions(night)]
    places = {name: place for place, name in enumerate(TITLES)}
    tallies = sorted(night.tallies, key=lambda one: (places.get(one.campaign, len(places)), one.campaign))
    parts += map(section, tallies)
    return "\n\n".join(parts) + "\n"


def readme_of(night: Night, page: str) -> str:
    """Return what the README says of a night; `page` is where all of it stands, from the README."""
    where = f"{night.date} UTC, on {night.machine}, in {duration(night.seconds)}; [the whole page]({page})."
    return "\n\n".join([verdict(night), headline(night), where])


def verdict(night: Night) -> str:
    """Return in words what is to be known first: each failure; or what was not run, and what was lost."""
    failures = failures_of(night)
    if not failures:
        skipped = ", ".join(tally.campaign for tally in night.tallies if tally.skipped)
        held = f"Every campaign that was run held; not run: {skipped}" if skipped else "Every campaign held"
        return f"{held}; lost: {lost(night)}."
    return "\n".join([f"**FAILED**: {len(failures)} in all.", "", *(f"- {escaped(one)}" for one in failures)])


def failures_of(night: Night) -> list[str]:
    """Return every failure, each with its campaign before it; a count that must be 0 and is not is one.

    Of a campaign that tells its failures they say what was lost.
    """
    told = [f"{tally.campaign}: {failure}" for tally in night.tallies for failure in tally.failures]
    has_told = {tally.campaign for tally in night.tallies if tally.failures}
    told += [
        f"{campaign}: {count:,} {what}" for campaign, what, count in losses(night) if campaign not in has_told
    ]
    return told if night.tallies else ["no campaign was run"]


def losses(night: Night) -> Iterator[tuple[str, str, float]]:
    """Yield each count of something lost: its campaign, its name, how many."""
    for tally in night.tallies:
        for what, count in tally.counts.items():
            if LOST.search(what) and count != 0:
                yield tally.campaign, what, count


def lost(night: Night) -> str:
    """Return what was lost, in words: nothing only if nothing failed."""
    told = [f"{number(count)} ({what})" for _, what, count in losses(night)]
    if told:
        return ", ".join(told)
    return "see the failures" if failures_of(night) else "nothing"


def headline(night: Night) -> str:
    """Return the first table. What no campaign has counted is not in it."""
    rows = [(line.words, total) for line in HEADLINES if (total := total_of(night, line)) is not None]
    return table(("under fire", "how many"), [*rows, ("**lost**", f"**{lost(night)}**")])


def total_of(night: Night, line: Headline) -> str | None:
    """Return the sum that a headline tells, None if nothing of the kind was counted.

    Where a campaign tells a whole and its groups, the whole is taken.
    """
    found = {
        what: count
        for tally in night.tallies
        for what, count in tally.counts.items()
        if tally.campaign == line.campaign and re.fullmatch(line.counts, what)
    }
    wholes = [count for what, count in found.items() if not group_of(what)]
    return number(sum(wholes or found.values())) if found else None


def conditions(night: Night) -> str:
    """Return when, where and by which command the night was played."""
    rows = [
        ("begun", f"{night.date} UTC"),
        ("machine", night.machine),
        ("commit", night.commit),
        ("command", f"`{night.command}`"),
        ("seed", str(night.seed)),
        ("wall time", duration(night.seconds)),
    ]
    return table(("run", ""), rows)


def section(tally: Tally) -> str:
    """Return a campaign's own table."""
    title = f"## {TITLES.get(tally.campaign, tally.campaign)}"
    if tally.skipped:
        title += f"\n\n{escaped(tally.skipped[0].upper() + tally.skipped[1:])}."
    long = long_groups(tally)
    rows = [(what, number(count)) for what, count in tally.counts.items() if group_of(what) not in long]
    rows.append(("seconds", number(round(tally.seconds))))
    rows.append(("failures", f"**FAILED: {len(tally.failures)}**" if tally.failures else "0"))
    parts = [title, table((f"`{tally.campaign}`", "how many"), rows)]
    for group, members in long.items():
        told = ", ".join(f"{escaped(name)} {number(count)}" for name, count in members.items())
        parts.append(f"Each {group}, with how often: {told}.")
    return "\n\n".join(parts)


def group_of(what: str) -> str:
    """Return what stands before a count's first colon, nothing if it has none."""
    group, colon, _ = what.partition(": ")
    return group if colon else ""


def long_groups(tally: Tally) -> dict[str, dict[str, float]]:
    """Return the groups of counts that are too many for a table's rows, each count by its name within."""
    groups: dict[str, dict[str, float]] = {}
    for what, count in tally.counts.items():
        if group := group_of(what):
            groups.setdefault(group, {})[what.removeprefix(f"{group}: ")] = count
    return {group: members for group, members in groups.items() if len(members) > ROWS_MAX}


def table(head: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    """Return a table of two columns."""
    lines = [head, ("---", "---"), *((escaped(one), other) for one, other in rows)]
    return "\n".join(f"| {one} | {other} |" if other else f"| {one} | |" for one, other in lines)


def escaped(text: str) -> str:
    """Return text that cannot end a table's cell, nor begin markup of its own."""
    return re.sub(r"(?<!\\)([|<])", r"\\\1", " ".join(text.split()))


def number(count: float) -> str:
    """Return a number for a reader: 1,234,567, or with a fraction of up to three digits."""
    return f"{count:,}" if isinstance(count, int) else f"{count:,.3f}".rstrip("0").rstrip(".")


def duration(seconds: float) -> str:
    """Return a time in minutes and seconds."""
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes} min {left} s"


# --- where and of what ---------------------------------------------------------------------------


def machine() -> str:
    """Return what the night is played on: cores and model, memory, kernel, Python."""
    cpu = Path("/proc/cpuinfo").read_text("utf-8")
    model = re.search(r"^model name\s*: (.+)$", cpu, re.MULTILINE)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores of {model[1] if model else platform.machine()}, {memory:.1f} GiB of memory, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def commit(root: Path) -> str:
    """Return the commit that is checked out, and whether files differ from it."""

    def git(*words: str) -> str:
        told = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
        return told.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + (
            " with changes that are not committed" if changed else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


# --- writing -------------------------------------------------------------------------------------


def record(night: Night, page: Path, readme: Path) -> None:
    """Write the page, and what the README says of it. Each is written aside and renamed."""
    page = page.resolve()
    text = between_markers(readme.read_text("utf-8"), readme_of(night, os.path.relpath(page, readme.parent)))
    replace(page, page_of(night))
    replace(readme, text)


def between_markers(text: str, section: str) -> str:
    """Return a text with what stands between its markers replaced; raise `ValueError` if it lacks them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no {BEGIN} before a {END}: put both where the section belongs")
    return f"{before}{BEGIN}\n{section}\n{END}{after}"


def replace(path: Path, text: str) -> None:
    """Write a file whole, or not at all."""
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(text, "utf-8")
    aside.replace(path)
