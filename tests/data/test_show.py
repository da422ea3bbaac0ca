"""Drawings of a set: the objects are where their masks are, and memory stays flat."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
from examples import H, W, coco_dict, photo

from cvtk.data import read
from cvtk.data.show import choose, draw


def test_objects_are_drawn_where_they_are(tmp_path):
    photo(tmp_path / "photos" / "é b.png")
    (tmp_path / "a.json").write_text(json.dumps(coco_dict()))
    dataset = read(tmp_path / "a.json")
    plain = np.asarray(draw(dataset, dataset.images[0], [])).astype(int)
    drawn = np.asarray(draw(dataset, dataset.images[0], dataset.annotations))
    changed = (drawn != plain).any(axis=2)
    assert changed[6:18, 7:23].all()  # inside the square of 5, 4 to 25, 20
    assert not changed[22:].any() and not changed[:, 28:].any()
    assert plain.shape == (H, W, 3)


def test_masks_of_many_objects_are_not_all_kept(tmp_path):
    photo(tmp_path / "photos" / "é b.png", size=(1000, 800))
    base = coco_dict()["annotations"][0]
    annotations = [{**base, "id": k} for k in range(1, 101)]
    image = {"id": 1, "file_name": "photos/é b.png", "width": 1000, "height": 800}
    content = coco_dict(images=[image], annotations=annotations)
    (tmp_path / "a.json").write_text(json.dumps(content))
    dataset = read(tmp_path / "a.json")
    tracemalloc.start()
    draw(dataset, dataset.images[0], dataset.annotations)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6  # 100 masks of 0.8 MB would be 80 MB


def test_each_class_is_among_the_chosen_images(tmp_path):
    images = [
        {"id": k, "file_name": f"{k}.png", "width": W, "height": H} for k in range(9)
    ]
    base = coco_dict()["annotations"][0]
    annotations = [
        {**base, "id": k, "image_id": k, "category_id": 1 + (k == 7)} for k in range(9)
    ]
    categories = [{"id": 1, "name": "leaf"}, {"id": 2, "name": "rare"}]
    content = coco_dict(images=images, annotations=annotations, categories=categories)
    (tmp_path / "a.json").write_text(json.dumps(content))
    for seed in range(5):
        assert 7 in {i.id for i in choose(read(tmp_path / "a.json"), 2, seed)}
