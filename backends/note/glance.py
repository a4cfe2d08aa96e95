"""The first screen: what was deployed, whether it is right, and what asks for a decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...judgement import Judgement, Standing
from .deployed import Deployed, filled, short
from .markdown import bold, code, escaped, link, section, table
from .paper import CHOSEN, WRONG, Reading, remarks

HEAD = (
    "model",
    "deployment",
    "role",
    "status",
    "GPUs",
    "parts = GPUs",
    "memory of a GPU",
    "a layer sends",
    "largest/mean",
    "graph",
)


def lines(deployed: Sequence[Deployed], written: Sequence[Judgement], reading: Reading | None) -> Iterator[str]:
    """The table of all deployments; then what needs attention, if anything does."""
    kept = _lines_kept(reading) if reading else {}
    rows = map(_row, deployed)
    if kept:
        words = [escaped(kept.get(each.report["strategy"], "")) for each in deployed]
        rows = ([*row[:-1], said, row[-1]] for row, said in zip(rows, words, strict=True))
    yield from table((*HEAD[:-1], "lines of the paper", HEAD[-1]) if kept else HEAD, rows)
    yield from _compared(deployed)
    found = list(_attention(deployed, written, reading))
    yield from ([*found, ""] if found else ["Nothing is wrong, nothing asks for a decision.", ""])


def _lines_kept(reading: Reading) -> dict[str, str]:
    """Of every other reading that is drawn, the lines of the paper that it honours or breaks; of the rest where they
    are read.
    """
    read = {one.strategy: f"read from {', '.join(dict.fromkeys(map(str, one.sources)))}" for one in reading.methods}
    told = [one.text for one in remarks(reading, ("compared",)) if ": " in one.text and "; " in one.text]
    others = {text.partition(": ")[0]: text.rpartition("; ")[2] for text in told}
    return {**read, **others} if others.keys() & read.keys() else {}


COMPARED = {
    "parameters": "parameters of a GPU",
    "peak_bytes": "its memory",
    "flops": "its FLOPs",
    "bytes_sent": "what it sends",
}


def _compared(deployed: Sequence[Deployed]) -> Iterator[str]:
    """Every proposal against the first baseline of its model and phase."""
    for each in deployed:
        same = [one for one in deployed if one.figures and _whose(one) == _whose(each)]
        base = next((one for one in same if one.report["role"] == "baseline"), None)
        if base is None or not each.figures or each.report["role"] == "baseline":
            continue
        ratios = ", ".join(f"{name} {ratio}" for name, ratio in _ratios(each.figures, base.figures))
        yield f"- {bold(escaped(each.name))} against {escaped(base.name)} ({escaped(each.report['model'])}): {ratios}."
    yield ""


def _whose(each: Deployed) -> tuple[str, str, str]:
    return each.report["model"], each.report["setting"], each.report["phase"]


def _ratios(mine: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Of the GPU that has most, where sizes are known and the baseline has any."""
    for load, name in COMPARED.items():
        ours, theirs = ([part[load] for part in figures["classes"]] for figures in (mine, base))
        if all(isinstance(value, int) for value in (*ours, *theirs)) and max(theirs):
            yield name, f"× {max(ours) / max(theirs):.2f}"


def _row(each: Deployed) -> list[str]:
    entry, figures = each.report, each.figures
    cells = [
        escaped(entry["model"]),
        bold(section(escaped(each.name), each.title)),
        escaped(entry["role"]),
        _status(entry["status"]),
    ]
    cells.append(f"{entry['gpus'] or figures.get('gpus', '–')} × {escaped(entry['cluster']['gpu'])}")
    if not figures or each.graph is None:
        return [*cells, "–", "–", "–", "–", "none: refused"]
    equal = "yes" if all(one.equal for one in each.divisions) else bold("no")
    return [*cells, equal, _memory(figures["classes"]), _sends(figures), _balance(figures), _graph(entry)]


def _status(status: str) -> str:
    return status if status == "valid" else bold(escaped(status))


def _memory(classes: Sequence[Mapping[str, Any]]) -> str:
    """Of the GPU that is fullest, as far as that is known."""
    fullest = max(classes, key=lambda part: filled(part) or 0)
    share = filled(fullest)
    said = f" ({share:.0%})" if share is not None else ""
    return escaped(f"{short(fullest['peak_bytes'], 'B')} of {short(fullest['capacity_bytes'], 'B')}{said}")


def _sends(figures: Mapping[str, Any]) -> str:
    """Of every kind of layer the bytes that a GPU sends."""
    layers = dict.fromkeys(move["layers"] for move in figures["collectives"] if move["layers"])
    sums = dict.fromkeys(_sum([m for m in figures["collectives"] if m["layers"] == name]) for name in layers)
    return "<br>".join(sums) or "nothing"


def _sum(moves: Sequence[Mapping[str, Any]]) -> str:
    values = [move["bytes_sent_per_gpu"] for move in moves]
    known = all(isinstance(value, int) for value in values)
    counts = Counter(move["collective"] for move in moves if not move["routing"])
    kinds = ", ".join(f"{count} × {name}" for name, count in counts.items())
    return escaped(f"{short(sum(values), 'B') if known else '?'} ({kinds})")


def _balance(figures: Mapping[str, Any]) -> str:
    ratios = [ratio for ratio in figures["balance"].values() if ratio is not None]
    return f"{max(ratios):.2f}" if ratios else "–"


def _graph(entry: Mapping[str, Any]) -> str:
    keys = (("dot", "DOT"), ("svg", "SVG"))
    return " ".join(link(name, entry[key]) for key, name in keys if entry.get(key))


def _attention(deployed: Sequence[Deployed], written: Sequence[Judgement], reading: Reading | None) -> Iterator[str]:
    for remark in remarks(reading, (*WRONG, CHOSEN)) if reading else ():
        count = len(remark.instead)
        others = f" ({count} other{'s' * (count > 1)} below)" * bool(count)
        yield f"- {bold(escaped(f'{remark.verdict}: {remark.about}'))}. {escaped(remark.text)}{others}"
    for each in deployed:
        where = bold(escaped(f"{each.report['model']}, {each.name}"))
        for found in (*each.report["errors"], *each.report["warnings"]):
            yield f"- {where}: {said(found)}"
        told = {one["code"] for one in each.report["errors"]}
        for rule in (rule for rule in each.broken if rule.code not in told):
            yield f"- {where}: rule {rule.code} is broken: {escaped(rule.says)}"
    for rule in written:
        if rule.standing is not Standing.HOLDS:
            yield f"- rule {rule.code}, {rule.standing}: {escaped(rule.says)}"


def said(found: Mapping[str, str]) -> str:
    """A diagnostic in a line."""
    sides = [f"{name} {found[name]}" for name in ("expected", "actual", "hint") if found[name]]
    return f"{found['severity']} {code(found['code'])} {escaped('; '.join([found['problem'], *sides]))}"
