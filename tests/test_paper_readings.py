"""Papers that can be read in several ways: asked, or all drawn beside one another, the user's answers first."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from dagc.cli import main
from dagc.frontends.paper.facts import Point, Verdict
from dagc.papers import Asked, read

PAPERS = Path(__file__).parent / "data" / "papers" / "methods"
TWO_LEVEL = PAPERS / "helix_flow.md"


def test_all_readings_are_deployments_of_their_own() -> None:
    reading = read(TWO_LEVEL, Asked(every=True))
    names = [method.strategy for method in reading.methods]
    assert names[:2] == ["tp=8,pp=2", "helix"]
    assert "helix.exactness-literal" in names
    assert "helix.aggregation-add-up" in names
    said = {r.about: r for r in reading.remarks if r.verdict is Verdict.COMPARED}
    assert "honours" in said["exactness=literal"].text
    assert said["exactness=literal"].instead == ("--reading exactness=literal",)
    assert len(reading.description["strategies"]) == len(names) - 1


def test_repairs_are_readings(tmp_path: Path) -> None:
    text = TWO_LEVEL.read_text().replace("8-way tensor parallelism with two pipeline stages", "TP=12")
    changed = {"16 H100": "12 H100", "dense, 4 layers": "dense, 12 layers", "32 sequences": "24 sequences"}
    for old, new in changed.items():
        text = text.replace(old, new)
    (tmp_path / "paper.md").write_text(text)
    reading = read(tmp_path / "paper.md", Asked(every=True))
    assert {point.id for point in reading.points} >= {"repair-baseline"}
    assert any(r.about.startswith("repair-baseline=") for r in reading.remarks)


def test_open_points_are_asked_and_stated_answers_stand() -> None:
    asked: list[str] = []

    def ask(point: Point) -> str:
        asked.append(point.id)
        return "literal" if point.id == "exactness" else point.chosen

    reading = read(TWO_LEVEL, Asked(picked={"aggregation": "add-up"}, ask=ask))
    assert asked == ["exactness"]
    assert "unpaid" in str(reading.description["strategies"])


def test_a_person_is_asked_on_the_command_line() -> None:
    done = CliRunner().invoke(main, ["read", str(TWO_LEVEL), "--ask"], input="literal\nadd-up\n")
    assert done.exit_code == 0
    assert "which function is computed" in done.output
    assert "unpaid: ds" in done.output
