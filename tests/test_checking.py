"""`dagc verify`: folders held against their own files, modules, descriptions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dagc.checking import check
from dagc.diagnostics import Refused
from dagc.driver import compile_job
from dagc.emit import Options, write
from dagc.job import Request
from dagc.planning import plan
from dagc.recheck import recheck

LAYERS = [
    "well-formed", "dimensions", "layouts", "coverage", "graph laws", "stated dimensions", "graph coverage", "meaning",
]  # fmt: skip
STEM = "moe-16x16/ep"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder: two deployments, experts drawn apart, batch left symbolic."""
    request = Request(strategies=("ep",), gpus=4, baseline="tp=4", per_expert=True, batch_size="symbolic")
    folder = tmp_path_factory.mktemp("written") / "out"
    write([compile_job(job, request) for job in plan(request)], folder, Options(svg=False))
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    shutil.copytree(written, tmp_path / "out")
    return tmp_path / "out"


def test_a_folder_is_checked_from_its_files_alone(folder: Path) -> None:
    checked = check(Request(source=str(folder)))
    assert [c.name for c in checked] == ["moe-16x16/tp=4", "moe-16x16/ep"]
    for each in checked:
        assert not each.diagnostics, "\n".join(map(str, each.diagnostics))
        assert [layer.name for layer in each.verdict.layers] == LAYERS


def test_the_report_holds_the_certificate(folder: Path) -> None:
    certificate = json.loads((folder / f"{STEM}.report.json").read_text())["certificate"]
    assert certificate["valid"]
    assert [layer["name"] for layer in certificate["layers"]] == LAYERS
    named = {"ep.dot", "ep.spmd.dot", "ep.logical.mlir", "ep.mlir", "ep.devices.json"}
    assert set(certificate["of"]["sha256"]) == named
    assert certificate["preconditions"]
    assert "probability" in certificate["bounds"][0]


def rewritten(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return change


def re_certified(name: str, old: str, new: str) -> Callable[[Path], None]:
    """A change whose author also mends the hash in the report."""

    def change(folder: Path) -> None:
        from dagc.backends.certificate import digest

        rewritten(name, old, new)(folder)
        report = folder / f"{STEM}.report.json"
        data = json.loads(report.read_text())
        data["certificate"]["of"]["sha256"][Path(name).name] = digest((folder / name).read_text())
        report.write_text(json.dumps(data))

    return change


def dropped(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a DOT": (rewritten(f"{STEM}.dot", "hidden=4096", "hidden=4097"), "not the file that the certificate"),
    "a DOT and its hash": (re_certified(f"{STEM}.dot", "hidden=4096", "hidden=4097"), "what the lowered module emits"),
    "the lowered module": (re_certified(f"{STEM}.mlir", "all_to_all", "all_to_alI"), "what the logical module lowers"),
    "the logical module": (rewritten(f"{STEM}.logical.mlir", "hidden = 4096", "hidden = 2048"), "certificate"),
    "the logical module, no IR": (re_certified(f"{STEM}.logical.mlir", "dag.input", "dag.inputs"), "dag.inputs"),
    "a layer less": (rewritten(f"{STEM}.report.json", '"name": "meaning"', '"name": "maning"'), "says other than"),
    "what GPUs hold": (rewritten(f"{STEM}.devices.json", "[", "[ "), "not the file that the certificate"),
    "no certificate": (rewritten(f"{STEM}.report.json", '"certificate"', '"certificat"'), "lacks 'certificate'"),
    "no JSON": (rewritten(f"{STEM}.report.json", "{", "["), "is no JSON"),
    "a file outside": (rewritten("manifest.json", f'"dot": "{STEM}.dot"', '"dot": "../../x.dot"'), "outside"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_file_is_found(name: str, folder: Path) -> None:
    change, says = CHANGES[name]
    change(folder)
    found = [str(d) for each in recheck(folder) for d in each.diagnostics]
    assert any(says in text for text in found), "\n".join(found)


def test_a_file_that_is_gone_is_named(folder: Path) -> None:
    dropped(f"{STEM}.spmd.dot")(folder)
    with pytest.raises(Refused) as refused:
        recheck(folder)
    assert f"{STEM}.spmd.dot" in str(refused.value.diagnostics[0])


@pytest.mark.parametrize(
    "text",
    [
        '{"generator": "another"}', "[]", "{", "", "[" * 100_000,
        '{"generator": "dagc", "files": ["manifest.json"], "dags": null}',
        '{"generator": "dagc", "files": ["manifest.json"], "dags": [1]}',
        '{"generator": "dagc", "files": ["manifest.json"], "dags": [{"status": "fine"}]}',
        '{"generator": "dagc", "dags": []}',
        '{"generator": "dagc", "files": ["manifest.json", "a\\u0000b"], "dags": []}',
    ],
)  # fmt: skip
def test_a_manifest_that_is_not_ours_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(Refused):
        check(Request(source=str(tmp_path)))


def test_a_lowered_module_is_checked_with_the_graph_it_emits(folder: Path) -> None:
    (checked,) = check(Request(source=str(folder / f"{STEM}.mlir")))
    assert not checked.diagnostics
    assert [layer.name for layer in checked.verdict.layers] == LAYERS


def test_a_logical_module_is_checked_by_itself(folder: Path) -> None:
    (checked,) = check(Request(source=str(folder / f"{STEM}.logical.mlir")))
    assert [layer.name for layer in checked.verdict.layers] == LAYERS[:4]


def test_a_model_is_compiled_and_checked(tmp_path: Path) -> None:
    checked = check(Request(source="qwen3-8b", strategies=("tp=4",), baseline="none", numeric=True))
    assert [c.name for c in checked] == ["qwen3-8b/tp=4"]
    assert "float64" in checked[0].verdict.bounds[0]
    assert not any(tmp_path.iterdir())


def test_a_string_that_does_not_end_is_a_diagnostic(folder: Path) -> None:
    """xDSL's lexer alone would look for its end for ever."""
    file = folder / f"{STEM}.mlir"
    lines = file.read_text().split("\n")
    at = next(number for number, line in enumerate(lines) if " at " in line)
    lines[at] = lines[at].replace('"', "", 1) + " " + "x" * 60
    file.write_text("\n".join(lines))
    with pytest.raises(Refused) as refused:
        check(Request(source=str(file)))
    assert refused.value.diagnostics[0].where.endswith(f":{at + 1}")


def test_a_property_of_another_type_is_a_diagnostic(folder: Path) -> None:
    file = folder / f"{STEM}.mlir"
    file.write_text(file.read_text().replace('axes = ["ep"]', "axes = [0 : i64]", 1))
    with pytest.raises(Refused):
        check(Request(source=str(file)))
