"""The pages: every command and example in them runs, files they name are there, links lead somewhere.

A page runs from top to bottom in an empty folder: each ```sh block in a shell that stops at the first
error, Python blocks that follow each other in one interpreter. Pages stay as a reader needs them. The
test changes what runs in these ways, and in no other:

- `<!-- test: skip REASON -->` before a block: it is not run (installing, `make`).
- `<!-- test: demo data -->` before a block `cvtk demo --data-only --output DIR`: DIR is a copy of the
  fixture `demo`, the same with fewer and smaller pictures. The command itself is run by docs/data.md.
- A training that does not say how long it shall be, and `model.train`, gets the options SHORT.
- README.md repeats commands of other pages: it is tested that they are the same to the letter.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
RUN = ["tutorial.md", "library.md", "data.md", "models.md"]

# Enough steps that something is found, so that there are figures to write.
SHORT = {
    "epoch": 6,
    "lr": 0.01,
    "image_size": 64,
    "batch_size": 1,
    "num_workers": 0,
    "weights": "none",
    "device": "cpu",
}
# Before the Python blocks: `model.train` with SHORT, whatever the page says.
PYTHON = """\
import cvtk

def short(self, *args, full=cvtk.Model.train, **options):
    options.pop("epochs", None)
    return full(self, *args, **{{**options, **{short!r}}})

cvtk.Model.train = short
"""


class Block(NamedTuple):
    """A fenced block."""

    line: int
    language: str
    text: str
    rule: str


def blocks(page):
    """The sh and Python blocks of a page, with the rule in the comment before each."""
    found = re.finditer(
        r"^(?:<!-- test: (?P<rule>[^\n]*?) -->\n)?```(?P<language>sh|python)\n(?P<text>.*?)^```$",
        page.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    for match in found:
        line = page.read_text(encoding="utf-8")[: match.start("text")].count("\n") + 1
        yield Block(line, match["language"], match["text"], match["rule"] or "")


def commands(text):
    """The commands of an sh block, each on one line."""
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def shortened(command):
    """A command, with SHORT where it is a training of unknown length."""
    if not re.match(r"python \S+\.py train\b", command) or "--epoch" in command:
        return command
    options = " ".join(f"--{name} {value}" for name, value in SHORT.items())
    return f"{command} {options}"


def steps(page, demo, folder):
    """What is run of a page: (line, arguments of a process)."""
    python: list[Block] = []
    for block in [*blocks(page), None]:
        if python and (block is None or block.language == "sh"):
            code = PYTHON.format(short=SHORT) + "\n".join(b.text for b in python)
            yield python[0].line, [sys.executable, "-c", code]
            python = []
        if block is None or block.rule.startswith("skip "):
            continue
        if block.rule == "demo data":
            target = re.fullmatch(r"cvtk demo --data-only --output (\w+)\n", block.text)
            assert target, f"{page.name}:{block.line}: not the command of this rule"
            shutil.copytree(demo.folder, folder / target[1])
        elif block.language == "python":
            python.append(block)
        else:
            assert not block.rule, f"{page.name}:{block.line}: no rule {block.rule!r}"
            script = "\n".join(map(shortened, commands(block.text)))
            yield block.line, ["bash", "-e", "-c", script]


@pytest.fixture
def environment():
    """The commands of this environment first; one thread, since pictures and models are tiny."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}


@pytest.mark.train
@pytest.mark.parametrize("name", RUN)
def test_every_example_of_a_page_runs(name, demo, tmp_path, environment):
    page = ROOT / "docs" / name
    for line, arguments in steps(page, demo, tmp_path):
        done = subprocess.run(
            arguments, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        said = f"{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, f"docs/{name}:{line}: {arguments[-1]}\n{said}"
    for path in outputs(page):
        assert (tmp_path / path).exists(), (
            f"docs/{name} names {path}, which is not there"
        )
    if name == "tutorial.md":
        check_tables(page, tmp_path)


def outputs(page):
    """The files and folders in `output` and `outputs` that a page names in its text."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
    return re.findall(r"`(outputs?/[\w./-]+)`", prose)


def check_tables(page, folder):
    """What the tutorial says of the tables and figures is in them."""
    text = page.read_text(encoding="utf-8")
    stem = folder / "outputs" / "fruit"
    for part in ("train", "valid"):
        section = text.split(f"`train_stats.{part}.txt`\n")[1].split("\n#")[0]
        rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        told = set(re.findall(r"`([\w/]+)`", " ".join(rows)))
        header = Path(f"{stem}.train_stats.{part}.txt").read_text().split("\n")[0]
        assert told and told <= set(header.split("\t"))
    example = json.loads(text.split("```json\n")[1].split("```")[0])
    written = json.loads(Path(f"{stem}.test_stats.json").read_text())
    assert list(written) == list(example)
    assert example["stats"].keys() <= written["stats"].keys()
    assert example["note"] == written["note"]
    assert re.fullmatch(r"data/test/segm\.json, \d+ images", written["computed_on"])


def test_the_readme_says_what_the_pages_say():
    tested = [b for name in RUN for b in blocks(ROOT / "docs" / name)]
    known = {c for b in tested if b.language == "sh" for c in commands(b.text)}
    lines = {line for b in tested for line in b.text.splitlines()}
    for block in blocks(ROOT / "README.md"):
        if block.language == "python":
            assert set(block.text.splitlines()) <= lines, block.text
        elif not block.rule.startswith("skip "):
            assert set(commands(block.text)) <= known, block.text


def test_commands_that_are_not_run_are_those_that_install():
    for page in PAGES:
        for block in blocks(page):
            if block.rule.startswith("skip "):
                for command in commands(block.text):
                    words = shlex.split(command)
                    assert words[0] in ("make", "pip", "source") or words[2] == "venv"


def anchors(page):
    """The names that GitHub gives to the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(other), f"{page.name}: {target}"


def test_the_index_names_every_page():
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\]\((\w[\w-]*\.md)\)", text))
    assert named == {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
