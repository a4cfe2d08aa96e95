"""An output folder against its own files: everything is made anew from the logical module and compared.

Guarantees, of every deployment in the manifest that was not refused, when nothing is found:

* all its files are there, and those the certificate speaks of are the ones it was made for (SHA-256)
* the logical module lowers to the lowered module of the folder, and that emits the DOT files of the folder
* all layers of defence hold for them now, and the certificate says no more than that
* a step finds its caches as the prefill of the folder leaves them, where that is a program of its own
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from .backends.certificate import digest
from .backends.dot import dot_text
from .backends.folder import GENERATOR, MANIFEST
from .diagnostics import Diagnostic, Refused
from .emit import drawn
from .frontends.model import Phase
from .ir.deployment import Deployment
from .ir.dialect import parse_module
from .ir.module import plan_of, sizes_of
from .job import Drawn
from .passes.verify import Field, Verdict, verify, verify_handover
from .passes.verify.meaning.numbers import Numbers
from .pipeline import emitted, lower, pictured, text_of

STATUSES = ("valid", "fixed", "as-written", "refused")


@dataclass
class Checked:
    """One deployment of a folder: its name, its verdict as it is now, and where the files disagree with it."""

    name: str
    verdict: Verdict = field(default_factory=Verdict)
    found: list[Diagnostic] = field(default_factory=list)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        return [*self.found, *self.verdict.diagnostics]


def recheck(folder: Path, numbers: Callable[[int], Numbers] = Field) -> list[Checked]:
    """Every deployment of an output folder that was written. Refused if it is none, or unreadable."""
    entries = deployments(folder)
    return [_checked(folder, entry, _before(entry, entries), numbers) for entry in entries]


def deployments(folder: Path) -> list[dict[str, Any]]:
    """What the manifest of an output folder says of what was written. Refused if it is none, or unreadable."""
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("generator") != GENERATOR:
        raise Refused(Diagnostic("certificate", "the manifest was not written by dagc", str(folder / MANIFEST)))
    files = _texts(manifest.get("files"))
    if MANIFEST not in files:
        raise Refused(Diagnostic("certificate", "the manifest does not list its files", str(folder / MANIFEST)))
    lost = [name for name in files if not within(folder, name).is_file()]
    if lost:
        raise Refused(*(Diagnostic("certificate", "the manifest lists a file that is not there", n) for n in lost))
    entries = manifest.get("dags")
    if not isinstance(entries, list) or not all(isinstance(e, dict) and e.get("status") in STATUSES for e in entries):
        problem = f"the manifest does not list deployments that are {' or '.join(STATUSES)}"
        raise Refused(Diagnostic("certificate", problem, str(folder / MANIFEST)))
    return [entry for entry in entries if entry["status"] != "refused"]


def _before(entry: dict[str, Any], entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of a step the prefill of the same model and strategy, in each of its regimes."""
    if entry.get("phase") != Phase.DECODE:
        return []
    return [each for each in entries if each.get("phase") == Phase.PREFILL and _whose(each) == _whose(entry)]


def _whose(entry: dict[str, Any]) -> tuple[object, ...]:
    return entry.get("model"), entry.get("role"), str(entry.get("strategy")).partition("[")[0]


def _checked(
    folder: Path, entry: dict[str, Any], before: list[dict[str, Any]], numbers: Callable[[int], Numbers]
) -> Checked:
    phase = entry.get("phase", "prefill")
    checked = Checked(f"{entry.get('model')}/{entry.get('strategy')}" + (f".{phase}" if phase != "prefill" else ""))
    try:
        files = {key: within(folder, entry[key]) for key in ("ir", "report")}
        certificate = read_json(files["report"])["certificate"]
        checked.found += _altered(files["report"].parent, certificate["of"]["sha256"])
        logical = _logical(folder, entry)
        module = lower(logical.clone())
        checked.found += _differs(files["ir"], text_of(module), "is not what the logical module lowers to")
        how = Drawn.read(certificate["of"]["graph"])
        graph = emitted(module, entry["model"], how)
        checked.verdict = verify(module, logical, graph, sizes_of(module), numbers)
        for prefill in (_logical(folder, each) for each in before):
            if (plan := plan_of(prefill)) and plan.keeps:
                verify_handover(checked.verdict, emitted(lower(prefill), entry["model"], Drawn()), graph)
        checked.found += _redrawn(folder, entry, pictured(graph, module, how, checked.verdict))
        checked.found += _claims(files["report"], certificate, checked.verdict)
    except Refused as refused:
        checked.found += refused.diagnostics
    except (KeyError, TypeError, AttributeError) as error:
        problem = f"the manifest or the report lacks {error}"
        checked.found.append(Diagnostic("certificate", problem, checked.name))
    return checked


def _logical(folder: Path, entry: dict[str, Any]) -> ModuleOp:
    file = within(folder, entry["logical"])
    return parse_module(read_text(file), str(file))


def _redrawn(folder: Path, entry: dict[str, Any], graph: Deployment) -> Iterator[Diagnostic]:
    """The DOT of every view, drawn anew."""
    known: dict[int, str] = {}
    for name, view in drawn(graph, full=entry["dot_view"] == "gpus").items():
        text = known.setdefault(id(view), "") or dot_text(view)
        known[id(view)] = text
        file = within(folder, entry["_".join(filter(None, (name, "dot")))])
        yield from _differs(file, text, "is not what the lowered module emits")


def _differs(file: Path, text: str, problem: str) -> Iterator[Diagnostic]:
    """The first line of a file that is not as it should be."""
    have = read_text(file)
    if have != text:
        pairs = list(zip([*have.splitlines(), ""], [*text.splitlines(), ""], strict=False))
        line = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs) - 1)
        actual, expected = (side.strip()[:160] or "nothing" for side in pairs[line])
        yield Diagnostic("certificate", problem, f"{file}:{line + 1}", expected=expected, actual=actual)


def _altered(home: Path, hashes: dict[str, str]) -> Iterator[Diagnostic]:
    for name, wanted in hashes.items():
        file = within(home, name)
        actual = digest(_bytes(file))
        if actual != wanted:
            problem = "is not the file that the certificate was made for"
            yield Diagnostic("certificate", problem, str(file), expected=f"SHA-256 {wanted}", actual=actual)


def _claims(file: Path, certificate: dict[str, Any], verdict: Verdict) -> Iterator[Diagnostic]:
    """Does the certificate say what the layers of defence say now?"""
    claimed = {layer["name"]: layer["holds"] for layer in certificate["layers"]}
    shown = {layer.name: layer.holds for layer in verdict.layers}
    if claimed != shown or certificate["valid"] != verdict.holds:
        expected, actual = (", ".join(name for name, holds in each.items() if holds) for each in (shown, claimed))
        yield Diagnostic(
            "certificate", "the certificate says other than the checks", str(file), expected=expected, actual=actual
        )


def read_json(file: Path) -> Any:
    """A file's data. Refused if it is no JSON."""
    try:
        return json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise Refused(Diagnostic("syntax", f"is no JSON: {error}", str(file))) from error


def read_text(file: Path) -> str:
    """A file's text. Refused if it is none."""
    try:
        return _bytes(file).decode()
    except UnicodeDecodeError as error:
        raise Refused(Diagnostic("file", "is no text", str(file))) from error


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Refused(Diagnostic("file", f"cannot be read: {error.strerror}", str(file))) from error


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def within(folder: Path, name: str) -> Path:
    """A file of the folder. Refused for a name that leads out of it."""
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name that no file can have
        inside = False
    if not inside:
        raise Refused(Diagnostic("certificate", "the manifest names a file outside the folder", repr(name)))
    return path
