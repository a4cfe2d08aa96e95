"""The files of a folder: what there is to read, and what must not be read. Nothing is opened here.

{"out/ep.dot": 1200 bytes, "out/ep.svg", "out/manifest.json", "out/x.dot → ../../etc/passwd"}
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..diagnostics import Diagnostic, Refused

MOST_FILES = 20_000
LARGEST = {"dot": 256 << 20, "svg": 256 << 20, "json": 64 << 20}
"""Bytes of a file that are read, by its kind."""
KINDS = {".dot": "dot", ".gv": "dot", ".svg": "svg", ".json": "json"}
UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", "~", ".swp")


@dataclass
class Files:
    """By their path from the folder, with forward slashes; `found`: what hinders reading one, or is half written."""

    folder: Path
    dots: list[str] = field(default_factory=list)
    svgs: list[str] = field(default_factory=list)
    jsons: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    found: list[Diagnostic] = field(default_factory=list)

    def at(self, name: str) -> str:
        """What diagnostics call a file."""
        return str(self.folder / name)

    def read(self, name: str, kind: str) -> bytes | None:
        """A file's content; None where it is empty, too large, or cannot be read, of which there is a finding."""
        if not 0 < self.sizes[name] <= LARGEST[kind]:
            return None
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            self.found.append(Diagnostic("file", f"cannot be read: {error.strerror}", self.at(name)))
            return None


def files_of(folder: Path) -> Files:
    """All files below a folder; links out of it are named, not followed. Refused if it is no folder."""
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "there is no such folder"
        raise Refused(Diagnostic("file", problem, str(folder), hint="grade the folder that the graphs were written to"))
    files = Files(folder)
    for number, path in enumerate(_walked(folder, files)):
        if number >= MOST_FILES:
            problem = f"there are more than {MOST_FILES:,} files; the others are not graded"
            files.found.append(Diagnostic("too-large", problem, str(folder)))
            break
        _sort(path, files)
    return files


def _walked(folder: Path, files: Files) -> Iterator[Path]:
    for home, folders, names in os.walk(folder, onerror=lambda error: _unwalked(error, files)):
        folders.sort()
        yield from (Path(home) / name for name in sorted(names))
        yield from (Path(home) / name for name in folders if (Path(home) / name).is_symlink())


def _unwalked(error: OSError, files: Files) -> None:
    files.found.append(Diagnostic("file", f"cannot be read: {error.strerror}", str(error.filename)))


def _sort(path: Path, files: Files) -> None:
    """Put a file where it belongs, if it may be read."""
    name = path.relative_to(files.folder).as_posix()
    kind = KINDS.get(path.suffix.lower(), "")
    try:
        inside = path.resolve(strict=True).is_relative_to(files.folder.resolve())
        found = path.stat()
    except (OSError, RuntimeError) as error:
        problem = f"is a link that leads nowhere: {getattr(error, 'strerror', None) or error}"
        files.found.append(Diagnostic("file", problem, files.at(name)))
        return
    if not inside:
        problem, hint = "is a link that leads out of the folder; it is not followed", "put the file itself there"
        files.found.append(Diagnostic("OUT3", problem, files.at(name), hint=hint))
    elif stat.S_ISREG(found.st_mode):
        _keep(name, kind, found.st_size, files)
    elif not stat.S_ISDIR(found.st_mode):
        files.found.append(Diagnostic("file", "is neither a file nor a folder; it is not read", files.at(name)))


def _keep(name: str, kind: str, size: int, files: Files) -> None:
    if name.lower().endswith(UNFINISHED):
        problem = "looks like a file that was never finished"
        files.found.append(Diagnostic("OUT5", problem, files.at(name), severity="warning"))
    elif kind and not size:
        files.found.append(Diagnostic("OUT5", "is empty", files.at(name), hint="write it anew, aside, then rename it"))
    elif kind and size > LARGEST[kind]:
        problem = f"has {size:,} bytes; files of this kind are read up to {LARGEST[kind]:,}"
        files.found.append(Diagnostic("too-large", problem, files.at(name)))
    files.sizes[name] = size
    {"dot": files.dots, "svg": files.svgs, "json": files.jsons}.get(kind, files.others).append(name)
