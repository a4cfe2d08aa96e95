"""Any JSON that lists files: the paths in it, whether they resolve, and what stands beside them.

{"dags": [{"role": "baseline", "dot": "tp.dot"}]}   →   Path("tp.dot", words "dags role baseline dot")
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ..diagnostics import Diagnostic
from .files import Files

GRAPHS = (".dot", ".gv")
PATHS = (*GRAPHS, ".svg", ".png", ".pdf", ".json", ".md", ".mlir")
SHOWN = (*GRAPHS, ".svg", ".png", ".pdf")
"""Endings of what a folder must hold where a JSON names it: graphs and pictures."""
LONGEST = 1024
WORD = 60
"""Signs of a text that may say what a path beside it is of."""
DEEPEST = 64
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Listed:
    """A path as it is written; `name`: the file of the folder that it means, if there is one. `words`: the keys that
    lead to it and the short texts beside it; `model`: what the object that holds it says its model is.
    """

    text: str
    name: str | None
    words: tuple[str, ...]
    model: str = ""


@dataclass
class Listing:
    """A JSON file that lists graphs or pictures."""

    file: str
    paths: list[Listed] = field(default_factory=list)
    says_status: bool = False
    found: list[Diagnostic] = field(default_factory=list)


def listings_of(files: Files) -> list[Listing]:
    """Every JSON of the folder that names a graph or a picture; the one called manifest first."""
    order = sorted(files.jsons, key=lambda name: (PurePosixPath(name).name != MANIFEST, name.count("/"), name))
    made = [listing for name in order if (listing := _listing(name, files))]
    if not made:
        hint = (
            'write manifest.json: {"dags": [{"model": …, "role": "baseline", "status": "valid", "dot": …, "svg": …}]}'
        )
        files.found.append(Diagnostic("OUT4", "no JSON lists the paths of graphs", str(files.folder), hint=hint))
    elif not any(listing.says_status for listing in made):
        problem, hint = "does not say which deployments are valid, fixed or refused", 'add "status" to each'
        where = files.at(made[0].file)
        made[0].found.append(Diagnostic("OUT4", problem, where, hint=hint, severity="warning"))
    return made


def unlisted(files: Files, listings: list[Listing]) -> Iterator[Diagnostic]:
    """Graphs and pictures that no JSON lists."""
    known = {path.name for listing in listings for path in listing.paths}
    for name in (*files.dots, *files.svgs) if listings else ():
        if name not in known:
            problem, hint = "no JSON of the folder lists it", f"add its path to {listings[0].file}"
            yield Diagnostic("OUT4", problem, files.at(name), hint=hint)


def _listing(name: str, files: Files) -> Listing | None:
    data = files.read(name, "json")
    if data is None:
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        hint = "a JSON file that does not parse was not written whole"
        files.found.append(Diagnostic("OUT5", f"is no JSON: {str(error)[:200]}", files.at(name), hint=hint))
        return None
    listing = Listing(name)
    for text, words, model in _paths(value):
        _resolve(text, words, model, listing, files)
    if not any(path.text.lower().endswith(SHOWN) for path in listing.paths):
        return None
    listing.says_status = b'"status"' in data
    return listing


def _paths(value: Any) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Texts that look like paths, with the words around them, and the model that is named beside them."""
    todo: list[tuple[Any, tuple[str, ...], str, int]] = [(value, (), "", 0)]
    while todo:
        at, words, model, depth = todo.pop()
        if isinstance(at, str) and _is_path(at):
            yield at, words, model
        elif depth < DEEPEST and isinstance(at, dict):
            beside = tuple(text for text in at.values() if isinstance(text, str) and _is_word(text))[:32]
            own = next((str(text) for key, text in at.items() if key.lower() in ("model", "model_name")), model)
            todo += [(each, (*words, *beside, str(key)), own, depth + 1) for key, each in reversed(at.items())]
        elif depth < DEEPEST and isinstance(at, list):
            todo += [(each, words, model, depth + 1) for each in reversed(at)]


def _is_word(text: str) -> bool:
    return len(text) <= WORD and not _is_path(text)


def _is_path(text: str) -> bool:
    """`graphs/ep.dot`; not an address, not a pattern, not an ending alone."""
    if len(text) > LONGEST or "\n" in text or "://" in text or "*" in text:
        return False
    return PurePosixPath(text.replace("\\", "/")).suffix.lower() in PATHS


def _resolve(text: str, words: tuple[str, ...], model: str, listing: Listing, files: Files) -> None:
    """A path from the JSON's own folder, or from the folder; else the file of the folder that it ends with. Texts of
    several words, and inputs that lie elsewhere, are no paths of the folder unless they lead to a file.
    """
    here, where = PurePosixPath(listing.file).parent, files.at(listing.file)
    name = next((found for base in (here, PurePosixPath()) if (found := _plain(base, text)) in files.sizes), None)
    ending = name or _ending(text, files.sizes)
    if ending is None and (" " in text or not text.lower().endswith(SHOWN)):
        return
    listing.paths.append(Listed(text, ending, words, model))
    if ending is None:
        problem, hint = f"lists a file that is not there: {text[:200]}", "write the file, or remove the path"
        listing.found.append(Diagnostic("OUT4", problem, where, hint=hint))
    elif name is None:
        problem = f"the path {text[:200]} holds from another folder only: the file is {ending}"
        hint = "write paths from the folder of the JSON"
        listing.found.append(Diagnostic("OUT4", problem, where, hint=hint, severity="warning"))


def _plain(base: PurePosixPath, text: str) -> str | None:
    """The path without `.` and `..`; None where it leads out of the folder."""
    parts: list[str] = []
    for part in (*base.parts, *PurePosixPath(text.replace("\\", "/")).parts):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part == "/":
            return None
        else:
            parts.append(part)
    return "/".join(parts)


def _ending(text: str, every: Collection[str]) -> str | None:
    """The file of the folder that a path of another place ends with."""
    parts = [part for part in PurePosixPath(text.replace("\\", "/")).parts if part not in ("/", ".", "..")]
    endings = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((name for name in endings if name in every), None)
