"""report.md: the deployment note. What an engineer wants of a run within a minute, and everything it was judged by.

    note("paper.md", deployed, written, reading)   →   # Deployment note …   ## At a glance   ## What the paper says …

| file | section |
| --- | --- |
| `glance` | all deployments side by side; what is wrong or asks for a decision |
| `paper` | facts with line and words; what was derived or assumed; what is wrong in the paper; rules of a house |
| `division` | each module: parts × copies × stages against the GPUs |
| `steps` | how dimensions change, operator by operator |
| `load` | what each GPU holds, computes, sends, and its balance |
| `communication` | collectives of a layer |
| `checks` | every rule with its verdict, arithmetic and nodes |
| `files` | where each graph is |
| `markdown` | no text breaks out of its cell |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...judgement import Judgement
from . import checks, communication, division, files, glance, load, paper, steps
from .deployed import Deployed, short
from .markdown import code, escaped, table
from .paper import Reading, changes

__all__ = ["Deployed", "Reading", "changes", "data", "note"]


def note(
    source: str, deployed: Sequence[Deployed], written: Sequence[Judgement], reading: Reading | None = None
) -> str:
    """The whole note. `source`: what was lowered; `written`: the verdicts on the folder; `reading`: of a paper."""
    return "\n".join(_lines(source, deployed, written, reading)).rstrip() + "\n"


def data(deployed: Sequence[Deployed], written: Sequence[Judgement], reading: Reading | None = None) -> dict[str, Any]:
    """What the note says that no other file does, as plain data."""
    return {
        "deployments": [_data(each) for each in deployed],
        "self_check": [each.as_dict() for each in written],
        **({"paper": paper.data(reading)} if reading else {}),
    }


def _data(each: Deployed) -> dict[str, Any]:
    return {
        **{key: each.report[key] for key in ("model", "strategy", "role", "phase", "status", "dot", "report")},
        "division": [one.as_dict() for one in each.divisions],
        "steps": [body.as_dict() for body in each.bodies],
        "self_check": [one.as_dict() for one in each.checks],
    }


def _lines(
    source: str, deployed: Sequence[Deployed], written: Sequence[Judgement], reading: Reading | None
) -> Iterator[str]:
    yield from (f"# Deployment note: {escaped(source)}", "", "## At a glance", "")
    yield from glance.lines(deployed, written, reading)
    yield from _titled("## Where each graph is", files.lines(deployed), "Nowhere: nothing was deployed.")
    if reading:
        yield from _paper(reading)
    yield from _titled(
        "## What was assumed besides" if reading else "## What was assumed", _assumed(deployed), "Nothing."
    )
    for each in deployed:
        yield from _deployment(each)
    yield from _titled("## Self-check of the folder", checks.lines(written), "")


def _paper(reading: Reading) -> Iterator[str]:
    wrong, gaps = paper.remarks(reading, paper.WRONG), paper.remarks(reading, paper.OPEN)
    yield from _titled("## What is wrong or missing in the paper", paper.lines(wrong), "Nothing was found wrong in it.")
    yield from _titled("## What was chosen, derived and assumed", paper.lines(gaps), "Nothing.")
    yield from _titled("## Rules of the house", paper.rules(reading), "")
    yield from _titled("## What was left aside", paper.lines(paper.remarks(reading)), "")
    yield from _titled("## What the paper says", paper.facts(reading), "Nothing that was understood.")


def _titled(title: str, body: Iterator[str], otherwise: str) -> Iterator[str]:
    """A section; where it is empty, the sentence that says so, and without one no section."""
    found = list(body) or [otherwise, ""] * bool(otherwise)
    yield from (title, "", *found) if found else ()


def _assumed(deployed: Sequence[Deployed]) -> Iterator[str]:
    """Once what was assumed for all, then what only some needed."""
    said = [list(each.report["assumptions"]) for each in deployed]
    common = [text for text in dict.fromkeys(text for own in said for text in own) if all(text in own for own in said)]
    yield from (f"- {code(text)}" for text in common)
    for each, own in zip(deployed, said, strict=True):
        name = escaped(f"{each.report['model']}, {each.name}")
        yield from (f"- {name}: {code(text)}" for text in own if text not in common)
    if any(said):
        yield ""


def _deployment(each: Deployed) -> Iterator[str]:
    yield from (f"## {escaped(each.title)}", "")
    if about := (each.report["plan"] or {}).get("about"):
        yield from (f"{escaped(about)}.", "")
    yield from _titled("### Changed", (f"- {escaped(text)}" for text in each.report["changes"]), "")
    if each.graph is not None and each.figures:
        yield from _titled("### Alternatives", _alternatives(each), "")
        yield from _titled("### Division", division.lines(each.divisions, each.graph.gpus), "")
        yield from _titled("### Dimensions, step by step", steps.lines(each.bodies), "")
        yield from _titled("### Load of a GPU", load.lines(each), "")
        yield from _titled("### Communication", communication.lines(each), "")
    if each.report["status"] == "refused":
        yield from ("Refused, and not drawn:", "", *(f"- {glance.said(one)}" for one in each.report["errors"]), "")
    else:
        yield from _titled("### Self-check", checks.lines(each.checks, each.unread), "")


def _alternatives(each: Deployed) -> Iterator[str]:
    """The ways that the strategy lists, what each sends, and why one was kept."""
    rows = (
        [escaped(one["name"]), short(one["bytes_sent_per_gpu"], "B"), "kept" * one["kept"], escaped(one["why"])]
        for one in each.report["alternatives"]
    )
    yield from table(("alternative", "sent by a GPU", "", "why"), rows, right=(1,))
