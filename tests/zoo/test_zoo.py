"""The catalogue: read from a small made-up MMDetection, and from the installed one."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cvtk import zoo
from cvtk.errors import InstallError, ModelError
from cvtk.zoo import cache, index

needs_mmdet = pytest.mark.skipif(
    importlib.util.find_spec("mmdet") is None, reason="needs MMDetection"
)

METAFILE = """
Collections:
  - Name: Mask R-CNN
    Paper: {URL: https://arxiv.org/abs/1703.06870v3, Title: Mask R-CNN}
Models:
  - Name: mask_rcnn_r50_old_name
    In Collection: Mask R-CNN
    Config: configs/gn%2Bws/mask-rcnn_r50_fpn_1x_coco.py
    Metadata: {Training Memory (GB): 4.4, Epochs: 12}
    Results:
      - {Task: Object Detection, Dataset: COCO, Metrics: {box AP: 38.2}}
      - {Task: Instance Segmentation, Dataset: COCO, Metrics: {mask AP: 34.7}}
    Weights: https://example.org/mask.pth
  - Name: mask-rcnn_r101_fpn_1x_coco.py
    In Collection: Mask R-CNN
    Config: mask-rcnn_r101_fpn_1x_coco.py
    Results:
      - {Task: Instance Segmentation, Dataset: COCO, Metrics: {mask AP: 36.1}}
  - Name: tracker_x
    In Collection: Tracker
    Config: configs/gn+ws/tracker_x.py
    Results: [{Task: Multiple Object Tracking, Dataset: MOT17, Metrics: {MOTA: 60.0}}]
  - Name: gone
    In Collection: Mask R-CNN
    Config: configs/gn+ws/gone.py
"""


@pytest.fixture
def root(tmp_path):
    """A folder such as mmdet's `.mim`: an index, one family, pieces that are not models."""
    (tmp_path / "model-index.yml").write_text(
        "Import: [configs/gn+ws/metafile.yml, configs/broken/metafile.yml]"
    )
    family = tmp_path / "configs" / "gn+ws"
    for folder in (
        family,
        tmp_path / "configs" / "broken",
        tmp_path / "configs" / "_base_",
    ):
        folder.mkdir(parents=True)
    (family / "metafile.yml").write_text(METAFILE)
    (tmp_path / "configs" / "broken" / "metafile.yml").write_text("Models: [unclosed")
    (tmp_path / "configs" / "_base_" / "mask-rcnn_r50_fpn.py").write_text("")
    for name in (
        "mask-rcnn_r50_fpn_1x_coco",
        "mask-rcnn_r101_fpn_1x_coco",
        "tracker_x",
        "mask-rcnn_r18_extra",
    ):
        (family / f"{name}.py").write_text("")
    return tmp_path


def test_index_is_read_with_its_oddities(root):
    entries = {e.name: e for e in index.read_index(root)}
    # An encoded path, a path relative to the metafile, a file without an entry; nothing for `gone` or `_base_`.
    assert set(entries) == {
        "mask-rcnn_r50_fpn_1x_coco",
        "mask-rcnn_r101_fpn_1x_coco",
        "tracker_x",
        "mask-rcnn_r18_extra",
    }
    plain = entries["mask-rcnn_r50_fpn_1x_coco"]
    assert (plain.task, plain.mask_ap, plain.box_ap, plain.ap) == (
        "segm",
        34.7,
        38.2,
        34.7,
    )
    assert (plain.memory_gb, plain.epochs, plain.weights_url) == (
        4.4,
        12,
        "https://example.org/mask.pth",
    )
    assert (plain.paper_title, plain.aliases) == (
        "Mask R-CNN",
        ("mask_rcnn_r50_old_name",),
    )
    assert plain.config.is_absolute() and plain.config.is_file()
    assert entries["tracker_x"].task == "other"
    assert (
        entries["mask-rcnn_r18_extra"].task == "segm"
        and not entries["mask-rcnn_r18_extra"].listed
    )


def test_an_entry_survives_its_dict(root):
    for entry in index.read_index(root):
        assert index.entries_of([entry.to_dict()]) == (entry,)


@pytest.fixture
def small(root, monkeypatch, tmp_path_factory):
    """The made-up MMDetection in place of the installed one: a source checkout, configurations beside it."""
    (root / "mmdet").mkdir()
    (root / "mmdet" / "__init__.py").write_text(
        "raise RuntimeError('mmdet was imported')"
    )
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.delitem(sys.modules, "mmdet", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    index.all_entries.cache_clear()
    yield root
    index.all_entries.cache_clear()


def test_catalogue_of_a_source_checkout_leaves_out_other_tasks(small):
    assert [e.name for e in zoo.catalogue()] == [
        "mask-rcnn_r101_fpn_1x_coco",
        "mask-rcnn_r50_fpn_1x_coco",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "mask-rcnn_r50_fpn_1x_coco",
        "mask_rcnn_r50_old_name",
        "Mask R-CNN r50",
        "r50_fpn",
        "mask-rcnn_r50_fpn_1x_coco.py",
    ],
)
def test_find_by_name_alias_part(small, name):
    assert zoo.find(name).name == "mask-rcnn_r50_fpn_1x_coco"


def test_find_a_file_outside_the_index_by_its_exact_stem(small):
    assert zoo.find("mask-rcnn_r18_extra", "segm").weights_url is None


def test_find_a_configuration_file(small, tmp_path):
    own = tmp_path / "my model.py"
    own.write_text("model = dict(type='Mine')")
    assert zoo.find(str(own), "segm") == zoo.Entry(
        "my model", tmp_path.name, "segm", own, listed=False
    )
    listed = small / "configs" / "gn+ws" / "mask-rcnn_r50_fpn_1x_coco.py"
    assert zoo.find(str(listed)).weights_url == "https://example.org/mask.pth"


@pytest.mark.parametrize(
    ("name", "task", "said"),
    [
        ("mask-rcnn_r5_fpn_1x_coco", None, "Did you mean 'mask-rcnn_r50_fpn_1x_coco'"),
        (
            "mask-rcnn",
            None,
            "2 models share the name 'mask-rcnn': mask-rcnn_r50_fpn_1x_coco, mask-rcnn_r101",
        ),
        ("tracker_x", None, "a task that cvtk does not train"),
        (
            "mask-rcnn_r50_fpn_1x_coco",
            "det",
            "is a model for instance segmentation, not for object detection",
        ),
        ("nowhere/model.py", None, "There is no configuration file nowhere/model.py"),
        ("", None, "names no model"),
    ],
)
def test_find_says_what_is_wrong(small, name, task, said):
    with pytest.raises(ModelError) as caught:
        zoo.find(name, task)
    assert said in str(caught.value)


def test_without_mmdetection_the_remedy_is_said(monkeypatch):
    index.all_entries.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InstallError, match=r'pip install "cvtk\[mmdet\]"'):
        zoo.find("mask-rcnn_r50_fpn_1x_coco")


def test_the_cache_is_used(small):
    zoo.catalogue()
    (path,) = cache.cache_folder().glob("zoo-*.json")
    path.write_text(path.read_text().replace("34.7", "99.9"))
    index.all_entries.cache_clear()
    assert zoo.find("mask-rcnn_r50_fpn_1x_coco").mask_ap == 99.9


DAMAGE = {
    "empty": lambda text: "",
    "a list": lambda text: "[]",
    "another key": lambda text: '{"key": 1}',
    "cut": lambda text: text[:200],
    "not UTF-8": lambda text: text.encode() + b"\xff",
    "a field of another name": lambda text: text.replace("family", "kin"),
    "a field of another type": lambda text: text.replace("34.7", '"34.7"'),
    "items that are numbers": lambda text: re.sub(
        r'"items": .*', '"items": [1, 2]}', text
    ),
    "a name that is null": lambda text: re.sub(
        r'"name": "[^"]+"', '"name": null', text
    ),
    "deeply nested": lambda text: "[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_to_the_cache_is_mended(small, damage):
    first = zoo.catalogue()
    (path,) = cache.cache_folder().glob("zoo-*.json")
    whole = path.read_text()
    damaged = DAMAGE[damage](whole)
    path.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    index.all_entries.cache_clear()
    assert zoo.catalogue() == first
    assert path.read_text() == whole


def test_a_pipe_in_place_of_the_cache_is_not_waited_for(small):
    first = zoo.catalogue()
    (path,) = cache.cache_folder().glob("zoo-*.json")
    path.unlink()
    os.mkfifo(path)
    index.all_entries.cache_clear()
    assert zoo.catalogue() == first


def test_cache_that_cannot_be_written_is_done_without(small, monkeypatch):
    blocked = small / "a file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert len(zoo.catalogue()) == 2


def test_nothing_is_written_where_there_is_no_home(small, monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert len(zoo.catalogue()) == 2
    assert sorted(tmp_path.iterdir()) == before, "no folder called ~"


@pytest.mark.parametrize(
    ("name", "images", "memory"),
    [
        ("rtmdet-ins_tiny_8xb32-300e_coco", 32, 18.4 / 8),
        ("mask-rcnn_r50_fpn_1x_coco", 2, 18.4 * 2),
        ("yolact_r50_1xb8-55e_coco", 8, 18.4 / 2),
    ],
)
def test_memory_is_in_proportion_to_the_images_per_step(name, images, memory):
    entry = zoo.Entry(name, "family", "segm", Path("a.py"), memory_gb=18.4)
    assert entry.images_per_gpu == images
    assert entry.memory_with(4) == pytest.approx(memory)
    assert zoo.Entry(name, "family", "segm", Path("a.py")).memory_with(4) is None


# From here on: the installed MMDetection.


@pytest.fixture
def installed(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    index.all_entries.cache_clear()
    return {e.name: e for e in zoo.catalogue()}


@needs_mmdet
def test_every_model_of_the_index_is_there(installed):
    mim = index._root()
    every = {e.config.resolve(): e for e in index.all_entries()}
    missing = []
    for name in yaml.safe_load((mim / "model-index.yml").read_text())["Import"]:
        content = yaml.safe_load((mim / name).read_text())
        for model in content["Models"] if isinstance(content, dict) else content:
            try:
                assert zoo.find(model["Name"]).config in every
            except ModelError as error:
                if "does not train" not in str(error):
                    missing.append(model["Name"])
    # Their configuration files are not in the package.
    assert len(missing) <= 3, missing
    assert sum(e.task == "segm" for e in installed.values()) > 200
    assert sum(e.task == "det" for e in installed.values()) > 300


@needs_mmdet
def test_tasks_that_the_index_has_wrong_are_right(installed):
    assert installed["faster-rcnn_r50_fpn-carafe_1x_coco"].task == "det"
    assert installed["mask-rcnn_x101-32x8d_fpn_ms-poly-3x_coco"].task == "segm"


@needs_mmdet
@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("mask rcnn", "mask-rcnn_r50_fpn_1x_coco"),
        ("Mask R-CNN", "mask-rcnn_r101_fpn_1x_coco"),
        ("maskrcnn resnext-101", "mask-rcnn_x101-32x4d_fpn_1x_coco"),
        ("Mask R-CNN ResNet-50 C4", "mask-rcnn_r50-caffe-c4_1x_coco"),
        ("MaskRCNN-ResNet50-FPN", "mask-rcnn_r50_fpn_1x_coco"),
        ("Cascade Mask R-CNN", "cascade-mask-rcnn_r50_fpn_1x_coco"),
        ("SOLOv2", "solov2_r50_fpn_1x_coco"),
        ("YOLACT", "yolact_r50_1xb8-55e_coco"),
        ("RTMDet-Ins", "rtmdet-ins_tiny_8xb32-300e_coco"),
        ("HRNet", "mask-rcnn_hrnetv2p-w18-1x_coco"),
        ("DCN", "mask-rcnn_r50-mdconv-c3-c5_fpn_1x_coco"),
    ],
)
def test_models_are_found_by_their_usual_names(installed, query, name):
    assert name in [e.name for e in zoo.search(query)]


@needs_mmdet
def test_search_puts_the_method_asked_for_first_then_sorts_by_ap(installed):
    found = zoo.search("mask rcnn", task="segm")
    own = [
        e for e in found if e.family == "Mask R-CNN" or e.name.startswith("mask-rcnn")
    ]
    assert found[: len(own)] == own and len(found) > len(own)
    scores = [e.ap or 0.0 for e in zoo.search(task="det")]
    assert scores == sorted(scores, reverse=True)


@needs_mmdet
def test_search_keeps_the_limits_asked_for(installed):
    small = zoo.search(max_memory=5, batch_size=4)
    assert all(e.memory_gb / e.images_per_gpu * 4 <= 5 for e in small)
    names = [e.name for e in small]
    assert "rtmdet-ins_tiny_8xb32-300e_coco" in names, "the one for small machines"
    assert "mask-rcnn_x101-64x4d_fpn_1x_coco" not in names
    assert all(
        e.params is not None and e.params <= 20 for e in zoo.search(max_params=20)
    )
    assert {e.family for e in zoo.search(family="rtmdet-ins")} == {"RTMDet-Ins"}


@needs_mmdet
def test_models_of_paddle_alone_lead_to_equivalents(installed):
    model = zoo.paddle_model("PP-YOLOE_seg-S")
    assert model is not None and model.mask_ap == 32.5
    near = zoo.equivalents(model, n=3)
    assert len(near) == 3
    assert all(abs(e.mask_ap - 32.5) < 4 and e.weights_url for e in near)
    assert (
        zoo.paddle_model("mask rcnn") is None
        and zoo.paddle_model("mask rt-detr l").name == "Mask-RT-DETR-L"
    )
    with pytest.raises(
        ModelError, match="exists only in Paddle; near it in mask AP and size: "
    ):
        zoo.find("Mask-RT-DETR-L", "segm")


@needs_mmdet
def test_looking_a_model_up_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; from cvtk import zoo; zoo.find('rtmdet-ins_tiny', 'segm');"
        "print({m.split('.')[0] for m in sys.modules} & {'torch', 'mmdet', 'mmcv', 'mmengine', 'pandas'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert done.stdout.strip() == "set()", done.stderr
    assert list(Path(tmp_path).rglob("zoo-*.json"))
