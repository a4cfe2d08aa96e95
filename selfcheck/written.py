"""The rules of an output folder, of one that is being written: by the entries of its manifest, as plain data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..judgement import Judgement, Standing

DOTS = ("dot", "spmd_dot", "representative_dot")
SAFELY = "inputs are opened for reading only; files are written aside and renamed together, the manifest last"
Entry = Mapping[str, Any]


def written(entries: Sequence[Entry], no_svg: bool = False) -> list[Judgement]:
    """Verdicts on OUT1 to OUT5."""
    return [*_models(entries), *_baselines(entries), _pictures(entries, no_svg), *_manifest(entries)]


def _models(entries: Sequence[Entry]) -> Iterator[Judgement]:
    made = _by_model([entry for entry in entries if entry["dot"]])
    missing = [model for model in _by_model(entries) if model not in made]
    says = ", ".join(f"{model}: {len(own)}" for model, own in made.items())
    if missing:
        yield Judgement("OUT1", Standing.BROKEN, f"without a graph, as every deployment was refused: {missing}")
    else:
        yield Judgement("OUT1", Standing.HOLDS, f"graphs of each model: {says}; none holds two models")


def _baselines(entries: Sequence[Entry]) -> Iterator[Judgement]:
    said, lacking = list[str](), list[str]()
    for model, own in _by_model(entries).items():
        roles = {role: sum(e["role"] == role and bool(e["dot"]) for e in own) for role in ("baseline", "proposed")}
        said.append(f"{model}: {roles['baseline']} of the baseline + {roles['proposed']} proposed")
        if not all(roles.values()):
            lacking.append(model)
    if lacking and not any(entry["role"] == "baseline" for entry in entries):
        yield Judgement("OUT2", Standing.UNJUDGED, f"no baseline was named; {'; '.join(said)}")
    else:
        yield Judgement("OUT2", Standing.BROKEN if lacking else Standing.HOLDS, "; ".join(said))


def _pictures(entries: Sequence[Entry], no_svg: bool) -> Judgement:
    dots = [(e, key) for e in entries for key in DOTS if e[key]]
    bare = list(dict.fromkeys(e[key] for e, key in dots if not e[key.replace("dot", "svg")]))
    if not bare:
        return Judgement("OUT3", Standing.HOLDS, f"{len(dots)} DOT files, an SVG beside each")
    why = "--no-svg was given" if no_svg else "too many nodes to draw: --full-svg draws them"
    more = f" and {len(bare) - 3} more" * (len(bare) > 3)
    return Judgement("OUT3", Standing.WARNED, f"without an SVG, as {why}: {', '.join(bare[:3])}{more}")


def _manifest(entries: Sequence[Entry]) -> Iterator[Judgement]:
    count = sum(len(entry["files"]) for entry in entries)
    states = ", ".join(f"{e['model']}/{e['strategy']} {e['status']}" for e in entries)
    yield Judgement(
        "OUT4", Standing.HOLDS, f"manifest.json lists {count} files of {len(entries)} deployments: {states}"
    )
    yield Judgement("OUT5", Standing.HOLDS, f"by construction: {SAFELY}")


def _by_model(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[entry["model"]].append(entry)
    return dict(found)
