"""The pages: every command and example in them runs, tables are up to date, links lead somewhere.

A page runs from top to bottom in an empty folder (training.md, few-images.md, report.md, compare.md, inference.md, loop.md,
export.md and serve.md in that of the tutorial, which they go on from):
each line of its ```sh blocks, and its Python blocks, those that follow each other with the same variables. All
of it runs in this process, so that PyTorch and MMDetection are loaded once. Pages stay as a reader needs them.
The test changes what runs in these ways, and in no other:

- `<!-- test: skip REASON -->` before a block: it is not run (installing, `make`).
- `cvtk demo --data-only --output DIR` makes fewer and smaller pictures.
- A training that does not say how long it shall be, and `model.train`, gets the options SHORT.
- `cvtk serve` runs in a process of its own until the next one or the end of the page, at a free port in place of 8000.
- README.md repeats commands of other pages: it is tested that they are the same to the letter.
"""

from __future__ import annotations

import ast
import copy
import functools
import json
import os
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import cvtk
import cvtk.demo
import cvtk.zoo
from cvtk.cli import main
from cvtk.options import TrainOptions
from cvtk.recipe.data import dataset_of
from cvtk.recipe.explanations import explain
from cvtk.recipe.fit import fit_config
from cvtk.recipe.overrides import apply_overrides
from cvtk.recipe.quirks import apply_quirks
from cvtk.recipe.runner_keys import keep_runner_keys

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "scenes" / "README.md",
    *sorted(DOCS.glob("*.md")),
]
# Each entry is a folder, and the pages that run in it.
RUN = [
    [
        "tutorial.md",
        "training.md",
        "few-images.md",
        "report.md",
        "compare.md",
        "inference.md",
        "loop.md",
        "export.md",
        "serve.md",
    ],
    ["library.md"],
    ["data.md"],
    ["models.md"],
    ["coming-from-paddlex.md"],
    ["operators.md"],
    ["measurements.md"],
    ["ymir.md"],
    ["pose2seg.md"],
]
TRAIN = {"tutorial.md", "library.md", "data.md", "ymir.md", "pose2seg.md"}

# Enough images for three sets, and enough steps that something is found, so that there are drawings.
IMAGES = (10, 3, 3)
SHORT = {
    "epoch": 3,
    "lr": 0.01,
    "image_size": 64,
    "batch_size": 1,
    "num_workers": 0,
    "weights": "none",
    "device": "cpu",
}


class Block(NamedTuple):
    """A fenced block."""

    line: int
    language: str
    text: str
    rule: str


def blocks(page):
    """The sh and Python blocks of a page, with the rule in the comment before each."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(
        r"^(?:<!-- test: (?P<rule>[^\n]*?) -->\n)?```(?P<language>sh|python)\n(?P<text>.*?)^```$",
        text,
        re.MULTILINE | re.DOTALL,
    )
    for match in found:
        line = text[: match.start("text")].count("\n") + 1
        yield Block(line, match["language"], match["text"], match["rule"] or "")


def commands(text):
    """The commands of an sh block, each on one line."""
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def short_train(self, *args, full=cvtk.Model.train, **options):
    """`model.train` with SHORT, whatever the page says."""
    options.pop("epochs", None)
    return full(self, *args, **{**options, **SHORT})


@pytest.fixture
def one_process(monkeypatch, tmp_path):
    """Lets scripts and examples run in this process, in an empty folder, with smaller pictures."""
    import torch

    threads, handler = torch.get_num_threads(), signal.getsignal(signal.SIGTERM)
    torch.set_num_threads(1)  # quicker, since pictures and models are tiny
    small = functools.partial(cvtk.demo.make_demo, images=IMAGES, size=(128, 96))
    monkeypatch.setattr(cvtk.demo, "make_demo", small)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.chdir(tmp_path)
    yield
    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, handler)


class Served:
    """The service of a page, if one runs."""

    def __init__(self):
        self.process = None
        self.address = ""

    def start(self, words):
        self.stop()
        code = "from cvtk.cli import main; main(prog_name='cvtk')"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *words, "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self.process.stdout:
            if found := re.search(r"http://[\d.]+:\d+", line):
                self.address = found[0]
                return
        pytest.fail(f"{shlex.join(words)} ended at once")

    def at_its_port(self, text):
        return text.replace("http://127.0.0.1:8000", self.address)

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.communicate(timeout=30)
            assert self.process.returncode == 0


def run_command(command, served):
    """Runs `cvtk ...`, `curl ...` or `python SCRIPT ...`; raises SystemExit as they do."""
    program, *words = shlex.split(served.at_its_port(command), comments=True)
    if words[:1] == ["serve"]:
        served.start(words)
        return
    if program == "curl":
        subprocess.run([program, "--silent", "--fail-with-body", *words], check=True)
        return
    if program == "cvtk":
        main(words, prog_name="cvtk")  # ends in SystemExit
        return
    assert program == "python", f"{program} is not run here"
    if words[1] == "train" and "--epoch" not in words:
        words += [f"--{name}={value}" for name, value in SHORT.items()]
        if words[0] == "pose.py":
            words.append("--set=model.least_side=8")
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")


def run_page(page):
    """Runs the blocks of a page in the current folder."""
    served = Served()
    try:
        run_blocks(page, served)
    finally:
        served.stop()


def run_blocks(page, served):
    """Runs the blocks of a page, with the service that it starts."""
    variables = {}
    for block in blocks(page):
        place = f"{page.name}:{block.line}"
        if block.rule.startswith("skip "):
            continue
        assert not block.rule, f"{place}: no rule {block.rule!r}"
        if block.language == "python":
            code = "\n" * (block.line - 1) + served.at_its_port(block.text)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(cvtk.Model, "train", short_train)
                exec(compile(code, str(page), "exec"), variables)
            continue
        variables = {}
        for command in commands(block.text):
            try:
                run_command(command, served)
            except SystemExit as end:
                if end.code not in (None, 0):
                    pytest.fail(f"{place}: {command}: {end.code}")


def pages_in_order(names):
    """The test parameters: pages that train are marked."""
    return pytest.param(
        names, id=names[0], marks=pytest.mark.train if TRAIN & {*names} else ()
    )


@pytest.mark.parametrize("names", [pages_in_order(names) for names in RUN])
def test_every_example_of_a_page_runs(names, one_process):
    for name in names:
        run_page(DOCS / name)
        for path in outputs(DOCS / name):
            assert Path(path).exists(), f"docs/{name} names {path}, which is not there"
    if "tutorial.md" in names:
        check_tables(DOCS / "tutorial.md")


def outputs(page):
    """The files and folders in `output` and `outputs` that a page names in its text."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
    return re.findall(r"`(outputs?/[\w./-]+)`", prose)


def check_tables(page):
    """What the tutorial says of the tables and metrics is in them."""
    text = page.read_text(encoding="utf-8")
    for part in ("train", "valid"):
        section = text.split(f"`train_stats.{part}.txt`\n")[1].split("\n#")[0]
        rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        told = set(re.findall(r"`([\w/]+)`", " ".join(rows)))
        table = Path(f"outputs/fruit.train_stats.{part}.txt").read_text("utf-8")
        assert told and told <= set(table.split("\n")[0].split("\t"))
    example = json.loads(text.split("```json\n")[1].split("```")[0])
    written = json.loads(Path("outputs/fruit.test_stats.json").read_text("utf-8"))
    # Scores to cut at are there if anything is found, and so short a training may find nothing.
    keys = [key for key in example if key in written or key != "cut_at"]
    assert list(written) == keys
    assert example["stats"].keys() <= written["stats"].keys()
    assert written["note"].startswith(example["note"])
    assert re.fullmatch(r"data/test/segm\.json, \d+ images", written["computed_on"])
    assert without_numbers(written["summary"]) == without_numbers(example["summary"])


def without_numbers(text):
    """A text with # for every number."""
    return re.sub(r"\d+(\.\d+)?", "#", text)


def fitted(model, **options):
    """A configuration of MMDetection, and what was made of it for 60 images and three classes."""
    from mmengine.config import Config

    config = cvtk.zoo.find(model, "segm").config
    own = Config.fromfile(config, import_custom_modules=False).to_dict()
    apply_quirks(own, "cpu")
    cfg = keep_runner_keys(own)
    before = copy.deepcopy(cfg)
    chosen = TrainOptions("train.json", output_weights="fruit.pth", **options)
    datasets = {"train": dataset_of("train.json", ".", ["a", "b", "c"], [1, 2, 3])}
    fit_config(cfg, config.stem, "segm", datasets, 60, False, chosen)
    return before, cfg, chosen


def test_the_decisions_of_the_example_are_those_that_are_made():
    text = (DOCS / "training.md").read_text(encoding="utf-8")
    model, images, told = re.search(
        r"<!-- decisions: (\S+), (\d+) images -->\n```text\n(.*?)```", text, re.DOTALL
    ).groups()
    assert images == "60"
    assert told.splitlines() == explain(*fitted(model), processes=1)


def recipes():
    """What the page advises to add to a command: the arguments of `--set`, command by command."""
    text = (DOCS / "training.md").read_text(encoding="utf-8")
    section = text.split("## Recipes")[1].split("## What cvtk decides")[0]
    lines = re.findall(r"^--set .*$|(?<=`)--set [^`]*(?=`)", section, re.MULTILINE)
    for line in lines:
        words = shlex.split(line)
        if "KEY=VALUE" not in words:
            yield [word for word in words if word != "--set"]


@pytest.mark.parametrize("pairs", list(recipes()), ids=" ".join)
def test_a_recipe_fits_mask_rcnn_or_rtmdet(pairs):
    done = 0
    for model in ("mask-rcnn_r101_fpn_1x_coco", "rtmdet-ins_tiny_8xb32-300e_coco"):
        _, cfg, _ = fitted(model)
        try:
            apply_overrides(cfg, pairs)
            done += 1
        except cvtk.CvtkError as error:
            assert "there is no" in str(error)
    assert done


def test_the_readme_says_what_the_pages_say():
    tested = [b for names in RUN for name in names for b in blocks(DOCS / name)]
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
                    assert words[0] in ("make", "pip", "source", "docker") or (
                        words[2] == "venv"
                    )


def check_tables_of_options(source=None):
    """`docs/tables.py --check`, with cvtk from another folder if one is named."""
    environment = {**os.environ, **({"PYTHONPATH": str(source)} if source else {})}
    return subprocess.run(
        [sys.executable, str(DOCS / "tables.py"), "--check"],
        capture_output=True,
        text=True,
        env=environment,
    )


def test_the_tables_of_options_are_up_to_date():
    done = check_tables_of_options()
    assert done.returncode == 0, done.stderr


def test_a_new_option_is_missed_in_the_tables(tmp_path):
    copy = shutil.copytree(Path(cvtk.__file__).parent, tmp_path / "cvtk")
    declarations = copy / "options" / "training.py"
    text = declarations.read_text(encoding="utf-8")
    new = (
        '    patience: Annotated[int, Option(help="days", minimum=1, maximum=9)] = 3\n'
    )
    before = "    tensorboard: Annotated["
    assert text.count(before) == 1
    declarations.write_text(text.replace(before, new + before), encoding="utf-8")
    done = check_tables_of_options(tmp_path)
    assert done.returncode == 1
    assert "docs/training.md: --patience (table train)" in done.stderr


def test_the_sections_of_the_vanilla_script_are_those_of_the_page():
    template = (ROOT / "templates" / "vanilla.py.j2").read_text(encoding="utf-8")
    sections = re.findall(r"^# --- (\d\. [\w ]+?) -+$", template, re.MULTILINE)
    page = (DOCS / "training.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d\. [\w ]+) \|", page, re.MULTILINE) == sections


def test_every_path_in_contributing_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    words = re.findall(r"`([^`\s]+)`", text)
    paths = [w for w in words if "/" in w or w.endswith((".py", ".md", ".j2", ".toml"))]
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), path


def test_the_targets_of_make_in_contributing_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in re.findall(r"`make (\w+)`", text):
        assert re.search(rf"^{name}:", targets, re.MULTILINE), f"make {name}"


def test_the_picture_of_the_house_is_that_of_the_imports():
    source = (ROOT / "tests" / "test_imports.py").read_text(encoding="utf-8")
    [layers] = [
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS"
    ]
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    picture = text.split("```text\n")[1].split("```")[0]
    # Rooms stand in the first 42 columns, what they are for after that.
    drawn = [set(line[:42].split()) for line in picture.splitlines()]
    assert [rooms for rooms in drawn if rooms != {"|"}] == list(reversed(layers))


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
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\]\((\w[\w-]*\.md)\)", text))
    assert named == {page.name for page in DOCS.glob("*.md")} - {"index.md"}
