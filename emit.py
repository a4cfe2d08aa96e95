"""Files of compiled deployments: what is written, under which name, in which view.

manifest.json report.md report.json
<model>/<strategy>.dot .svg .spmd.dot .spmd.svg .representative.dot .representative.svg
                  .logical.mlir .mlir .report.json .devices.json
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import __version__
from .backends.certificate import certificate
from .backends.devices import devices
from .backends.dot import dot_text
from .backends.folder import EXPERIMENT, GENERATOR, MANIFEST, NOTE, NOTE_DATA, Folder
from .backends.names import Names
from .backends.note import Reading, changes
from .backends.report import report
from .backends.svg import render
from .frontends import json_schema
from .ir.deployment import Deployment
from .ir.view import View
from .job import Job
from .noting import Notes
from .passes import views
from .passes.verify import Verdict
from .pipeline import text_of

DOT_NODES = 300_000
"""Largest per-GPU graph that is written without --full; beyond it one lane stands for each class of identical GPUs."""
SVG_NODES = 20_000
"""Largest graph that is drawn without --full-svg."""
FEW_GPUS = 4
"""Up to this many GPUs a representative view would show nothing less."""


@dataclass(frozen=True)
class Options:
    """What to write. `done` is called after every file made, for progress."""

    svg: bool = True
    full_svg: bool = False
    full: bool = False
    force: bool = False
    done: Callable[[str], None] = lambda name: None


def write(
    jobs: list[Job],
    out: Path,
    options: Options,
    source: str = "",
    reading: Reading | None = None,
    experiment: str = "",
) -> dict[str, Any]:
    """Write all deployments into one folder, whole or not at all; the manifest as plain data.

    `source` is what they were made of; where that is a paper, `reading` is what was read in it and `experiment` the
    YAML of it.
    """
    folders, entries = Names(), []
    by_model: dict[str, str] = {}
    strategies: dict[str, Names] = {}
    with Folder(out, options.force) as folder, Notes(source, reading) as notes:
        for job in jobs:
            home = by_model.setdefault(job.model.name, "") or folders.of(job.model.name)
            by_model[job.model.name] = home
            stem = f"{home}/{strategies.setdefault(home, Names()).of(job.name)}"
            entries.append(_write_job(job, folder, stem, options, notes))
        said = notes.texts(no_svg=not options.svg)
        beside = {EXPERIMENT: experiment, json_schema.file_name(): json_schema.text()} if experiment else {}
        for name, text in beside.items():
            folder.write(name, text)
        folder.write(NOTE, said["md"])
        folder.write(NOTE_DATA, _json(said["json"]))
        files = sorted(str(p) for entry in entries for p in entry.get("files", ()))
        manifest = {
            "generator": GENERATOR,
            "version": __version__,
            "dags": [{key: value for key, value in entry.items() if key != "files"} for entry in entries],
            "note": NOTE,
            "experiment": EXPERIMENT if experiment else None,
            "files": [MANIFEST, *beside, NOTE, NOTE_DATA, *files],
        }
        folder.write(MANIFEST, _json(manifest))
    return manifest


def _write_job(job: Job, folder: Folder, stem: str, options: Options, notes: Notes) -> dict[str, Any]:
    """All files of one deployment; its entry in the manifest. A refused one has a report only."""
    files: dict[str, str] = {}
    certified: dict[str, str | bytes] = {}

    def put(key: str, suffix: str, data: str | bytes) -> None:
        files[key] = f"{stem}.{suffix}"
        folder.write(files[key], data)
        options.done(files[key])
        if key in CERTIFIED:
            certified[Path(files[key]).name] = data

    graph, ok = job.graph, job.status != "refused"
    dots: dict[str, tuple[int, str]] = {}
    if ok and graph is not None and job.module is not None:
        dots = {f"{stem}.{name}": dot for name, dot in _write_views(graph, put, options).items()}
        put("logical", "logical.mlir", job.logical)
        put("ir", "mlir", text_of(job.module))
        put("devices", "devices.json", _json_lines(devices(job.module, graph)))
    entry = _entry(job, graph if ok else None, options, changes(notes.reading, job.strategy))
    report = _report(job, entry, certified)
    put("report", "report.json", _json(report))
    entry |= {**{key: files.get(key) for key in KEYS}, "files": list(files.values())}
    notes.add(job, {**report, **entry}, dots)
    return entry


VIEWS = ("", "spmd", "representative")
KEYS = (
    *(f"{view}{'_' * bool(view)}{kind}" for view in VIEWS for kind in ("dot", "svg")),
    "logical",
    "ir",
    "report",
    "devices",
)
CERTIFIED = frozenset(KEYS) - {"report"}
"""Files that a certificate speaks of: all but the report it stands in."""


def _write_views(
    graph: Deployment, put: Callable[[str, str, str | bytes], None], options: Options
) -> dict[str, tuple[int, str]]:
    """DOT of every view, then their pictures side by side; nodes and text of every DOT file, by the end of its name."""
    shown = drawn(graph, options.full)
    dots = {key: dot_text(view) for key, view in {id(view): view for view in shown.values()}.items()}
    texts = {name: (view, dots[id(view)]) for name, view in shown.items()}
    for name, (_, dot) in texts.items():
        put("_".join(filter(None, (name, "dot"))), ".".join(filter(None, (name, "dot"))), dot)
    wanted = {n: dot for n, (view, dot) in texts.items() if options.svg and _drawable(graph, view, options)}
    with ThreadPoolExecutor(max_workers=2) as workers:
        made = workers.map(lambda dot: render(dot, "svg"), wanted.values())
        pictures = dict(zip(wanted, made, strict=True))
    for name, picture in pictures.items():
        put("_".join(filter(None, (name, "svg"))), ".".join(filter(None, (name, "svg"))), picture)
    return {".".join(filter(None, (name, "dot"))): (_statements(dot), dot) for name, (view, dot) in texts.items()}


def _statements(dot: str) -> int:
    """How many nodes a DOT of ours has: a line each, with their shape."""
    return dot.count(", shape=")


def drawn(graph: Deployment, full: bool) -> dict[str, View]:
    """The views that are written, by the name their files carry: the main one has none."""
    main = _main_view(graph, full)
    few = views.representative(graph)
    shown = {"representative": few} if graph.gpus > FEW_GPUS and views.is_closed(few) else {}
    return {"": main, "spmd": main if main.name == "spmd" else views.spmd(graph), **shown}


def _main_view(graph: Deployment, full: bool) -> View:
    """Every GPU, as long as that can be written; else a lane per class of identical GPUs."""
    whole = graph.nodes <= DOT_NODES or full
    return views.gpus(graph) if whole else views.spmd(graph)


def _drawable(graph: Deployment, view: View, options: Options) -> bool:
    return options.full_svg or view.name != "gpus" or graph.nodes <= SVG_NODES


def _entry(job: Job, graph: Deployment | None, options: Options, changed: list[str]) -> dict[str, Any]:
    """`changed`: how the deployment differs from what a paper writes, as that is impossible."""
    return {
        "model": job.model.name,
        "strategy": job.strategy,
        "role": job.role,
        "setting": job.setting,
        "phase": job.phase,
        "gpus": job.cluster.gpus,
        "status": "fixed" if changed and job.status == "valid" else job.status,
        "changes": changed,
        "reason": [str(d) for d in job.diagnostics if d.severity == "error"],
        "nodes": graph.nodes if graph else None,
        "edges": graph.edges if graph else None,
        "dot_view": _main_view(graph, options.full).name if graph else None,
        "alternative": next((one.name for one in job.considered if one.kept), None),
    }


def _report(job: Job, entry: dict[str, Any], certified: dict[str, str | bytes]) -> dict[str, Any]:
    verdict = job.verdict or Verdict()
    needed = [asdict(precondition) for precondition in verdict.preconditions]
    return report(
        identity={**entry, "cluster": asdict(job.cluster)},
        plan=job.plan,
        sizes=job.sizes,
        figures=job.figures,
        certificate=certificate(verdict.layers, needed, verdict.bounds, asdict(job.drawn), certified),
        assumed=job.assumed,
        diagnostics=job.diagnostics,
        alternatives=[asdict(one) for one in job.considered],
    )


def _json(data: Any) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _json_lines(entries: Iterable[dict[str, Any]]) -> str:
    """A JSON list with one entry a line: long lists stay readable and diffable."""
    return "[\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]\n"
