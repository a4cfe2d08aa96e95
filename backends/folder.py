"""Writing an output folder whole or not at all.

Files are written aside, into a folder beside the target, and renamed into place together at the end, the manifest
last; an interrupted run leaves the target without a manifest, never with one that names a file which is not there.
A folder that dagc did not write is not touched without `force`; files in it that dagc did not write stay.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from ..diagnostics import Diagnostic, Refused

MANIFEST = "manifest.json"
NOTE, NOTE_DATA = "report.md", "report.json"
EXPERIMENT = "experiment.yaml"
"""What the YAML of a paper is called, in the folder and in messages."""
GENERATOR = "dagc"


class Folder:
    """A transaction on an output folder: `write` any number of files, then leave the `with` block without an error."""

    def __init__(self, target: Path, force: bool = False) -> None:
        self.target = target
        self._old = _written_before(target, force)
        self._files: list[str] = []

    def __enter__(self) -> Folder:
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._aside = Path(tempfile.mkdtemp(prefix=f".{self.target.name}.", dir=self.target.parent))
        except OSError as error:
            raise Refused(_unwritable(self.target, error), usage=True) from error
        return self

    def write(self, name: str, data: str | bytes) -> None:
        """Add a file; `name` is relative to the target, with forward slashes."""
        path = self._aside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        self._files.append(name)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._publish()
        except OSError as error:
            raise Refused(_unwritable(self.target, error), usage=True) from error
        finally:
            shutil.rmtree(self._aside, ignore_errors=True)

    def _publish(self) -> None:
        self.target.mkdir(exist_ok=True)
        (self.target / MANIFEST).unlink(missing_ok=True)
        for name in self._old:
            _remove(self.target, name)
        for name in sorted(self._files, key=lambda name: name == MANIFEST):
            place = self.target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self._aside / name, place)


def write_whole(path: Path, text: str) -> None:
    """Write one file aside and rename it into place. Refused where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except OSError as error:
        problem, hint = f"cannot be written: {error.strerror}", "choose another --output"
        raise Refused(Diagnostic("file", problem, str(path), hint=hint), usage=True) from error


def _written_before(target: Path, force: bool) -> list[str]:
    """Files of an earlier run in the target, as its manifest lists them. Refused if the folder is someone else's."""
    if not target.exists():
        return []
    try:
        manifest = json.loads((target / MANIFEST).read_text())
        if manifest.get("generator") == GENERATOR:
            return [name for name in manifest.get("files", []) if _inside(name)]
    except (OSError, ValueError, AttributeError):
        pass
    if force or (target.is_dir() and not any(target.iterdir())):
        return []
    raise Refused(
        Diagnostic(
            "unsafe-out",
            "the output folder exists and was not written by dagc",
            str(target),
            expected="a new or empty folder, or one that dagc wrote",
            hint="choose another --out, or --force to write into it (other files stay)",
        ),
        usage=True,
    )


def _inside(name: object) -> bool:
    return isinstance(name, str) and not name.startswith("/") and ".." not in name.split("/")


def _remove(target: Path, name: str) -> None:
    """Remove one file of an earlier run, and its folder if it is empty then."""
    path = target / name
    path.unlink(missing_ok=True)
    if path.parent != target and path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def _unwritable(target: Path, error: OSError) -> Diagnostic:
    return Diagnostic(
        "file", f"cannot write the output folder: {error.strerror}", str(target), hint="choose another --out"
    )
