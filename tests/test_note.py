"""The deployment note: what it says of what was written, and that nothing anyone wrote breaks out of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from dagc import driver, emit
from dagc.backends.note import markdown, paper
from dagc.codes import RULES
from dagc.frontends.paper.document import Document
from dagc.frontends.paper.facts import Fact, How, Method, Reading, Remark, Source, Verdict
from dagc.job import Job, Request
from dagc.planning import plan
from dagc.recheck import recheck

DATA = Path(__file__).parent / "data"
KEY = json.loads((DATA / "large_ep.key.json").read_text())
PARSER = MarkdownIt("commonmark").enable("table")
HOSTILE = "a | b\n\n# Title <script>x</script> `t` ``` ![i](http://x.y/z.png) [l](j) **b** _u_ \u202e $x$ &amp; <!-- 1."


@cache
def jobs(source: str, **asked: Any) -> tuple[Job, ...]:
    request = Request(source, **asked)
    return tuple(driver.compile_job(job, request) for job in plan(request))


def written(out: Path, made: tuple[Job, ...], reading: Reading | None = None) -> tuple[str, dict[str, Any]]:
    """The note, and its data."""
    emit.write(list(made), out, emit.Options(svg=False), "a *source*.yaml", reading)
    return (out / "report.md").read_text(), json.loads((out / "report.json").read_text())


def large_ep() -> tuple[Job, ...]:
    return jobs(str(DATA / "large_ep.yaml"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    return written(tmp_path_factory.mktemp("note") / "out", large_ep())


def tables(text: str) -> dict[str, list[list[str]]]:
    """Rows of text, by the headings above them; the tables of one heading after one another."""
    found: dict[str, list[list[str]]] = {}
    heads: dict[int, str] = {}
    tokens = PARSER.parse(text)
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            level = int(token.tag[1])
            heads = {depth: head for depth, head in heads.items() if depth < level}
            heads[level] = tokens[at + 1].content
        if token.type == "tr_open":
            found.setdefault(" / ".join(heads.values()), []).append([])
        if token.type in ("td_open", "th_open"):
            found[" / ".join(heads.values())][-1].append(tokens[at + 1].content)
    return found


def section(text: str, head: str) -> list[list[str]]:
    (name,) = (name for name in tables(text) if name.endswith(head))
    return tables(text)[name]


def leaves(text: str) -> list[Token]:
    return [leaf for token in PARSER.parse(text) for leaf in [token, *(token.children or [])]]


def test_every_module_with_its_parts_copies_stages_and_gpus(large: tuple[str, dict[str, Any]]) -> None:
    for deployment, role, module in (
        ("tp=8,pp=2", "baseline", "attention"),
        ("tp=8,pp=2", "baseline", "ffn"),
        ("ep", "proposed", "experts"),
        ("ep", "proposed", "attention"),
        ("ep", "proposed", "gate"),
    ):
        expected = KEY[role]["parts"][module]
        name = "experts" if module == "ffn" else module
        (row,) = (r for r in section(large[0], f"{deployment} ({role}) / Division") if r[0].startswith(f"{name} `"))
        parts, copies, stages, product = map(int, row[3:7])
        assert (parts, product) == (expected["distinct"], expected["product"])
        assert copies * stages == expected.get("replicas", 1) * expected.get("stages", 1)
        assert row[7:] == ["16: 0-15", "equal"]


def test_dimensions_step_by_step(large: tuple[str, dict[str, Any]]) -> None:
    rows = section(large[0], "ep (proposed) / Dimensions, step by step")
    names = [re.sub(r"\*\*|<br>.*", "", row[1]) for row in rows]
    assert names.index("Token split (dispatch)") < names.index("All-to-all: dispatch → up_proj")
    assert names.index("All-to-all: dispatch → up_proj") < names.index("Expert up projection")
    (moved,) = (row for row in rows if "All-to-all: dispatch" in row[1])
    assert moved[2:5] == [
        "`[experts=16, expert_tokens=1024, hidden=4096]`",
        "`[experts=1, expert_tokens=16384, hidden=4096]`",
        "experts 16 = 16 × 1",
    ]
    assert "sends 126 MB per GPU; among GPUs 0-15" in moved[1]


def test_layers_alike_are_shown_once_and_debts_are_named(large: tuple[str, dict[str, Any]]) -> None:
    assert "**Layers 8-15 (× 8)** on GPUs 8-15: the same steps as Layers 0-7 (× 8)." in large[0]
    rows = section(large[0], "tp=8,pp=2 (baseline) / Dimensions, step by step")
    (projected,) = (row for row in rows if row[1] == "Output projection")
    assert projected[4:] == ["one of 8 addends of a sum", "`[heads=4, d_k=128, hidden=4096]`"]


def test_communication_of_a_layer(large: tuple[str, dict[str, Any]]) -> None:
    text = large[0]
    assert f"{KEY['baseline']['comm_per_layer']['total_sent_elements_per_device']:,} elements" in text
    rows = section(text, "tp=8,pp=2 (baseline) / Communication")
    assert [row[:5] for row in rows[1:]] == [
        ["0-7, 8-15 (× 8)", "all-reduce", "`layers.attention.o_proj`", "tp", "2 groups of 8: 0-7; 8-15"],
        ["0-7, 8-15 (× 8)", "all-reduce", "`layers.moe.combine`", "tp", "2 groups of 8: 0-7; 8-15"],
        ["outside of layers", "send/recv", "`layers`", "pp", "8 pairs: 0→8; 1→9; … 6 more"],
    ]


def test_load_balance_and_the_first_screen(large: tuple[str, dict[str, Any]]) -> None:
    text = large[0]
    assert ["bytes sent", "31.1 GB", "30.6 GB", "1.018"] in section(text, "tp=8,pp=2 (baseline) / Load of a GPU")
    first = section(text, "At a glance")
    assert [row[3:6] for row in first[1:]] == [["valid", "16 × H100", "yes"]] * 2
    assert "- **ep** against tp=8,pp=2 (large-ep): parameters of a GPU × 1.45" in text
    assert "`kv_heads = 32 (= heads)`" in text


def test_every_rule_has_a_verdict_and_what_holds_says_why(large: tuple[str, dict[str, Any]]) -> None:
    rules = list(RULES)
    for made in large[1]["deployments"]:
        judged = {each["code"]: each for each in [*made["self_check"], *large[1]["self_check"]]}
        assert {rule for rule in rules if rule not in judged} == set()
        assert {each["verdict"] for code, each in judged.items() if code != "OUT3"} == {"holds"}
        assert all(each["says"] for each in judged.values())
        assert judged["DAG2"]["nodes"][0] == "input_0"
        assert "128 = 16 · 8" in judged["DIM2"]["says"] or made["strategy"] != "ep"
    assert next(each for each in large[1]["self_check"] if each["code"] == "OUT3")["verdict"] == "warned"


def test_links_lead_to_files(large: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    written(tmp_path / "out", large_ep())
    links = {str(leaf.attrGet("href")) for leaf in leaves(large[0]) if leaf.type == "link_open"}
    to_sections = {link for link in links if link.startswith("#")}
    assert to_sections == {"#large-ep-tp8pp2-baseline", "#large-ep-ep-proposed"}
    assert len(links) > 10
    assert all((tmp_path / "out" / link).is_file() for link in links - to_sections)


def hostile() -> Reading:
    """Everything that a paper can say, said to break out."""
    source, other = Source(3, HOSTILE), Source(41, "46,656 units", HOSTILE)
    facts = (
        Fact("layers", 16, source, HOSTILE, HOSTILE),
        Fact("d_k", 128, other, how=How.DERIVED, why="4096 / 32 | x"),
        Fact("sizes", (1, 2), Source(0, "")),
    )
    methods = (Method(HOSTILE, "baseline", HOSTILE, (source,)), Method("m", "proposed", "", (), {"rules": []}, HOSTILE))
    remarks = tuple(
        Remark(verdict, HOSTILE, HOSTILE, (source, other), "32 / 12 = 2.67 `", ("--reading a=b", HOSTILE))
        for verdict in Verdict
    )
    return Reading(Document("paper.md", (), ()), facts, methods, remarks)


def test_nothing_that_a_paper_says_breaks_out(tmp_path: Path) -> None:
    text, data = written(tmp_path / "out", large_ep(), hostile())
    found = leaves(text)
    assert not {leaf.type for leaf in found} & {"html_block", "image", "fence", "code_block", "blockquote_open"}
    assert {leaf.content for leaf in found if leaf.type == "html_inline"} <= {"<br>"}
    assert all(
        str(leaf.attrGet("href")).startswith(("large-ep/", "#large-ep-")) for leaf in found if leaf.type == "link_open"
    )
    assert not re.search("[\u202e\u2066]", text)
    for rows in tables(text).values():
        assert rows
    heads = [token.content for token in PARSER.parse(text) if token.type == "inline" and token.level == 1]
    assert "Deployment note: a \\*source\\*.yaml" in heads
    assert data["paper"]["facts"][1] == {
        "of": "", "key": "d_k", "value": 128, "unit": "", "how": "derived", "why": "4096 / 32 | x", "line": 41,
        "words": "46,656 units", "file": HOSTILE,
    }  # fmt: skip


def test_what_is_wrong_in_a_paper_comes_first_with_both_lines_and_the_other_readings(tmp_path: Path) -> None:
    both = (Source(2, "32 GPUs"), Source(9, "16 GPUs"))
    remark = Remark(
        Verdict.CONTRADICTION, "gpus", "the abstract says 32, the setup 16", both,
        "16 experts × 1 = 16", ("32: --gpus 32",),
    )  # fmt: skip
    gap = Remark(Verdict.ASSUMED, "batch_size", "not said; 128 as usual")
    reading = replace(hostile(), remarks=(gap, remark))
    text, _ = written(tmp_path / "out", large_ep(), reading)
    sections = dict(part.split("\n", 1) for part in text.split("\n## "))
    assert "contradiction: gpus" in sections["At a glance"]
    wrong = sections["What is wrong or missing in the paper"]
    for part in ("line 2: “32 GPUs”", "line 9: “16 GPUs”", "`16 experts × 1 = 16`", "instead: 32: --gpus 32"):
        assert part in wrong
    assert "assumed: batch_size" in sections["What was chosen, derived and assumed"]
    assert "Rules of the house" not in sections
    assert [remark] == paper.remarks(reading, paper.WRONG)


def test_what_is_said_in_several_lines_is_one_row(tmp_path: Path) -> None:
    facts = (
        Fact("layers", 16, Source(4, "sixteen layers")), Fact("layers", 16, Source(16, "16 layers")),
        Fact("layers", 16, Source(16, "16 layers"), of="big"), Fact("layers", 4, Source(38, "4-layer")),
    )  # fmt: skip
    text, _ = written(tmp_path / "out", large_ep(), replace(hostile(), facts=facts, methods=()))
    assert [row[:5] for row in section(text, "What the paper says")[1:]] == [
        ["", "`layers`", "16", "", "line 4"],
        ["", "`layers`", "4", "", "line 38"],
        ["big", "`layers`", "16", "", "line 16"],
    ]


def test_what_was_changed_has_the_status_fixed_with_line_and_arithmetic(tmp_path: Path) -> None:
    method = Method("ep", "proposed", "ep", (), mechanism="ep", written="ep=12")
    remark = Remark(Verdict.FIXED, "ep=12", "drawn instead: ep=16", (Source(7, "12 GPUs"),), "16 / 12 = 1.333 experts")
    reading = Reading(Document("paper.md", (), ()), (), (method,), (remark,))
    text, data = written(tmp_path / "out", large_ep(), reading)
    assert [each["status"] for each in data["deployments"]] == ["valid", "fixed"]
    entry = json.loads((tmp_path / "out" / "manifest.json").read_text())["dags"][1]
    assert entry["changes"] == ["drawn instead: ep=16 (line 7): 16 / 12 = 1.333 experts"]
    assert "### Changed\n\n- drawn instead: ep=16 (line 7): 16 / 12 = 1.333 experts" in text
    assert [row[3] for row in section(text, "At a glance")[1:]] == ["valid", "**fixed**"]
    assert not [d for each in recheck(tmp_path / "out") for d in each.diagnostics]


def test_a_refused_deployment_says_why_and_the_others_are_there(tmp_path: Path) -> None:
    made = jobs("llama-3.1-8b", strategies=("tp=12", "tp=4"), baseline="none")
    text, data = written(tmp_path / "out", made)
    assert [each["status"] for each in data["deployments"]] == ["refused", "valid"]
    assert "Refused, and not drawn:" in text
    assert "error `indivisible`" in text
    assert "**[tp=12](#llama-31-8b-tp12-proposed)** | proposed | **refused** |" in text


@pytest.mark.parametrize(
    "asked",
    [
        {"source": "llama-3.1-8b", "strategies": ("tp=4",), "collectives": "paths"},
        {"source": "llama-3.1-8b", "strategies": ("tp=2,pp=2",), "micro_batches": 2, "unroll": True},
        {"source": "moe-16x16", "strategies": ("ep=4",), "per_expert": True, "batch_size": "symbolic"},
        {"source": "mixtral-8x7b", "strategies": ("afd",), "gpus": 12},
    ],
    ids=lambda asked: f"{asked['strategies'][0]} {list(asked)[2]}",
)
def test_however_a_graph_is_drawn_its_steps_are_those_of_one_layer(asked: dict[str, Any], tmp_path: Path) -> None:
    text, data = written(tmp_path / "out", jobs(**asked, baseline="none"))
    (made,) = data["deployments"]
    assert all(len(body["steps"]) < 60 for body in made["steps"])
    assert not [each for each in made["self_check"] if each["verdict"] == "broken"]
    assert tables(text)


@pytest.mark.parametrize(
    "text",
    ["a|b", "a\n# b", "<b>", "*a*", "_a_", "a_b", "`a`", "~~a~~", "[a](b)", "1. a", "- a", "+ a", "www.a.b", "https://a.b",
     "#", "\\", "\\|", "&lt;", "$a$", "=====", "---", "![a](b)", "\u202ea", "> a", "a@b.c", "---|---"],
)  # fmt: skip
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    shown = " ".join(text.replace("\u202e", " ").split())
    for made in (markdown.escaped(text), next(iter(markdown.table(("h",), [[markdown.escaped(text)]])))):
        assert "\n" not in made
    (leaf,) = (token for token in PARSER.parse(markdown.escaped(text)) if token.type == "inline")
    assert "".join(child.content for child in leaf.children or []) == shown
    rows = tables("\n".join(markdown.table(("h", "i"), [[markdown.escaped(text), markdown.code(text)]])))[""]
    assert [len(row) for row in rows] == [2, 2]


def test_rules_of_the_house_have_a_table_of_their_own(tmp_path: Path) -> None:
    sources = (Source(3, "no TP in experts", "rules.md"), Source(22, "TP=8"))
    rule = Remark(Verdict.RULE, "no TP in experts", "overridden by the paper: line 22", sources, "tp = 8 cuts ffn")
    document = Document("paper.md", (), ())
    text, _ = written(tmp_path / "out", large_ep(), Reading(document, (), (), (rule,)))
    assert section(text, "Rules of the house")[1] == [
        *("no TP in experts", "overridden by the paper: line 22", "rules.md:3<br>line 22", "tp = 8 cuts ffn")
    ]
    assert "Nothing was found wrong in it." in text
