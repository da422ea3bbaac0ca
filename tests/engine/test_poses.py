"""Architectures that are given poses: what a training is told of its data, and where weights come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from examples import photo

from cvtk.data.sources import list_images
from cvtk.demo import make_demo
from cvtk.engine.poses import Poses, takes_poses
from cvtk.engine.spec import make_spec
from cvtk.engine.training_data import prepare_data
from cvtk.errors import DataError
from cvtk.zoo.index import OWN

MODEL = "pose2seg_r50_fpn"


@pytest.fixture(scope="module")
def dancers(make_folder):
    folder = make_folder("dancers")
    return make_demo(folder, images=(3, 2, 1), size=(64, 48), seed=1, poses=True)


def changed(file, change, name="changed.json"):
    """A COCO file beside another, with a change."""
    coco = json.loads(file.read_text())
    change(coco)
    file.with_name(name).write_text(json.dumps(coco))
    return file.with_name(name)


def test_which_architectures_take_poses(dancers, tmp_path):
    own = tmp_path / "mine.py"
    base = make_spec(MODEL, dancers.label, "segm", False).config
    own.write_text(
        f"_base_ = {str(base)!r}\nmodel = dict(train_cfg=dict(templates=5))\n"
    )
    for model, takes in (
        (MODEL, True),
        (own, True),
        ("mask-rcnn_r50_fpn_1x_coco", False),
    ):
        assert takes_poses(make_spec(model, dancers.label, "segm", False)) == takes


def test_cocos_weights_have_its_backbone_and_its_neck(dancers):
    import torch
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from cvtk.engine.start import coco_address

    init_default_scope("mmdet")
    names = []
    for model in (MODEL, "mask-rcnn_r50_fpn_1x_coco"):
        config = make_spec(model, dancers.label, "segm", False).config
        cfg = Config.fromfile(config)
        with torch.device("meta"):
            state = MODELS.build(cfg.model).state_dict()
        names.append({name: value.shape for name, value in state.items()})
        assert "mask_rcnn_r50_fpn_1x_coco" in coco_address(config)
    shared = {name for name in names[0] if name.startswith(("backbone.", "neck."))}
    assert len(shared) > len(names[0]) / 2, "else it would count as another model"
    assert all(
        names[0][name] == names[1].get(name)
        for name in shared
        if "fpn_convs.4" not in name
    )


def test_a_training_is_fitted_to_the_poses_of_its_data(built, dancers):
    sets = {"train": dancers.train, "valid": dancers.valid}
    cfg = built(MODEL, labels=dancers.label, **sets, weights="imagenet")
    assert len(cfg.model.keypoints) == 13 and len(cfg.model.limbs) == 14
    assert cfg.model.templates and cfg.model.backbone.init_cfg.type == "Pretrained"
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        assert loader.dataset.type == "PoseDataset"
    used = json.loads(Path(cfg.train_dataloader.dataset.ann_file).read_text())
    assert used["categories"][0]["keypoints"] == list(cfg.model.keypoints)


def test_objects_without_a_pose_are_counted(dancers, chosen):
    def hide(coco):
        coco["annotations"][0].update(keypoints=[0] * 39, num_keypoints=0)

    file = changed(dancers.train, hide)
    total = len(json.loads(file.read_text())["annotations"])
    spec = make_spec(MODEL, dancers.label, "segm", False)
    found = prepare_data(spec, chosen(train=file, valid=None))
    [note] = found.facts["train"].notes
    assert note.startswith(f"Note: 1 of {total} objects in {file} have no keypoints.")


def test_a_validation_set_with_other_keypoints_is_refused(dancers, chosen):
    def rename(coco):
        coco["categories"][0]["keypoints"][0] = "beak"

    valid = changed(dancers.valid, rename)
    spec = make_spec(MODEL, dancers.label, "segm", False)
    with pytest.raises(DataError, match=r"changed\.json.*\(beak, .*not \(head"):
        prepare_data(spec, chosen(train=dancers.train, valid=valid))


def test_poses_come_from_the_file_that_names_the_image(dancers):
    def score(coco):
        for item in coco["annotations"]:
            item["score"] = 0.5
            del item["bbox"], item["segmentation"]  # as of an estimator of poses

    coco = json.loads(dancers.train.read_text())
    poses = Poses(["dancer"], coco["categories"][0]["keypoints"])
    images = list_images(changed(dancers.train, score))
    poses.require(images)
    for image in images:
        own = [a for a in coco["annotations"] if a["image_id"] == image.id]
        found = poses.of(image)
        assert [one["score"] for one in found] == [0.5] * len(own)
        for one, stated in zip(found, own, strict=True):
            flat = [value for point in one["keypoints"] for value in point]
            assert flat == stated["keypoints"]


@pytest.fixture
def people(tmp_path):
    """Two people and a crowd, in the form of COCOPersons and OCHuman: COCO's person, with masks and 17 keypoints."""
    from mmengine.config import Config

    config = OWN / "configs" / "pose2seg_r50_fpn.py"
    person = Config.fromfile(config, import_custom_modules=False)
    photo(tmp_path / "photos" / "3.jpg")
    pose = [value for number in range(17) for value in (5 + number, 8 + number, 2)]
    crowd = {"size": [30, 40], "counts": [1000, 100, 100]}
    objects = [
        {"bbox": [4.5, 7.25, 18.0, 18.0], "segmentation": [[4, 7, 22, 7, 22, 25]]},
        {"bbox": [4.5, 7.25, 18.0, 18.0], "segmentation": [[4, 7, 4, 25, 22, 25]]},
        {"bbox": [33, 10, 7, 20], "segmentation": crowd, "iscrowd": 1},
    ]
    for number, item in enumerate(objects, 1):
        item.update(id=900100581 + number, image_id=3, category_id=1, area=162.0)
        marked = 0 if item.setdefault("iscrowd", 0) else 17
        item.update(keypoints=pose if marked else [0] * 51, num_keypoints=marked)
    coco = {
        "info": {"description": "COCO 2017 Dataset", "year": 2017},
        "licenses": [],
        "images": [{"id": 3, "file_name": "photos/3.jpg", "width": 40, "height": 30}],
        "annotations": objects,
        "categories": [
            {
                "supercategory": "person",
                "id": 1,
                "name": "person",
                "keypoints": person.keypoints,
                "skeleton": [[a + 1, b + 1] for a, b in person.limbs],
            }
        ],
    }
    (tmp_path / "label.txt").write_text("person\n")
    (tmp_path / "people.json").write_text(json.dumps(coco))
    return tmp_path / "people.json", person


def test_the_files_of_cocopersons_and_ochuman_are_read_as_they_are(people, built):
    file, person = people
    labels = file.with_name("label.txt")
    cfg = built(MODEL, labels=labels, train=file, valid=file)
    for part in ("keypoints", "limbs", "pairs"):
        assert cfg.model[part] == person[part], part
    [template] = cfg.model.templates
    assert len(template) == 17, "both people have one pose"
    [image] = list_images(file)
    found = Poses(["person"], person.keypoints).of(image)
    assert [one["keypoints"][0] for one in found] == [[5, 8, 2]] * 2, "no crowd"
