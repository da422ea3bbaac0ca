"""A service is asked over HTTP: a real process on a free port, with a model whose answers are known."""

from __future__ import annotations

import csv
import io
import json
import re
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from cvtk.measure.rows import OBJECT_COLUMNS


def detail(answer):
    """What is wrong, which is one line."""
    text = json.loads(answer)["detail"]
    assert "\n" not in text and "Traceback" not in text
    return text


def test_it_is_there(service):
    status, answer, _ = service.ask("GET", "/health")
    assert (status, json.loads(answer)) == (200, {"status": "ok"})


def test_it_answers_on_this_machine_alone(service):
    assert service.host == "127.0.0.1"


def test_what_the_model_knows(service):
    _, answer, _ = service.ask("GET", "/model")
    about = json.loads(answer)
    assert (about["model"], about["task"]) == ("colours.onnx", "segm")
    assert [(c["id"], c["name"], c["score"]) for c in about["classes"]] == [
        (3, "berry", 0.5),
        (7, "leaf", 0.5),
    ]


def test_an_image_in_coco_out(service, make_picture):
    found = service.found("/predict", make_picture(red=1000, blue=700), "field 1.png")
    [image], [berry] = found["images"], found["annotations"]
    assert image == {"id": 1, "file_name": "field 1.png", "width": 64, "height": 64}
    assert (berry["category_id"], berry["image_id"], berry["area"]) == (3, 1, 1000)
    assert berry["score"] == pytest.approx(0.9)
    assert coco_mask.area(berry["segmentation"]) == 1000
    assert [part["name"] for part in found["categories"]] == ["berry", "leaf"]


@pytest.mark.parametrize(("score", "count"), [(0, 2), (0.4, 2), (0.41, 1), (1, 0)])
def test_the_score(service, make_picture, score, count):
    found = service.found(f"/predict?score={score}", make_picture(red=1000, blue=700))
    assert len(found["annotations"]) == count


def test_a_drawing(service, make_picture):
    content = make_picture(red=1000)
    status, answer = service.post("/predict?format=png", content)
    drawn = np.asarray(Image.open(io.BytesIO(answer)))
    plain = np.asarray(Image.open(io.BytesIO(content)))
    assert status == 200 and drawn.shape == plain.shape
    assert (drawn != plain).any()


def test_a_table_has_the_columns_of_measure(service, make_picture):
    _, answer = service.post(
        "/predict?format=csv&score=0", make_picture(red=1024, blue=64), "=1+1.png"
    )
    rows = list(csv.DictReader(io.StringIO(answer.decode())))
    assert tuple(rows[0]) == OBJECT_COLUMNS
    assert [(row["class"], float(row["area_px"])) for row in rows] == [
        ("berry", 1024),
        ("leaf", 64),
    ]
    assert float(rows[0]["mean_red"]) == 255
    assert rows[0]["image"] == "'=1+1.png", "or a spreadsheet would take it for a sum"


def test_a_format_that_browsers_do_not_show(service, make_picture):
    content = make_picture(red=500, form="TIFF")
    assert service.found("/predict", content)["annotations"][0]["area"] == 500
    status, answer = service.post("/preview", content)
    seen = np.asarray(Image.open(io.BytesIO(answer)))
    assert (status, (seen[..., 0] == 255).sum()) == (200, 500)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\pictures\\a.png", "a.png"),
        ("..", "image"),
        ("a\x1bb.png", "a\\x1bb.png"),
    ],
)
def test_a_name_is_repeated_and_never_opened(service, make_picture, name, shown):
    found = service.found("/predict", make_picture(red=9), name)
    assert found["images"][0]["file_name"] == shown
    assert found["annotations"][0]["area"] == 9


def test_a_path_in_place_of_an_image(service, model):
    body, kind = f"image={model}", "application/x-www-form-urlencoded"
    status, answer, _ = service.ask("POST", "/predict", body, {"Content-Type": kind})
    assert status == 422 and "image" in detail(answer)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"some text", "cannot identify image file"),
        (EPS, "cannot identify image file"),  # Pillow would run Ghostscript on it
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "a.png: "),
    ],
    ids=["empty", "text", "EPS", "broken PNG"],
)
def test_what_is_no_image(service, content, problem):
    status, answer = service.post("/predict", content, "a.png")
    assert status == 400
    assert detail(answer).startswith("a.png: ") and problem in detail(answer)


def test_an_image_that_is_cut_off(service, make_picture):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG")
    status, answer = service.post("/predict", buffer.getvalue()[:1500], "a.jpg")
    assert status == 400 and "truncated" in detail(answer)


def bomb(width, height):
    """A small PNG file that says that it has so many pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


@pytest.mark.parametrize("side", [142, 10_000, 100_000])
def test_too_many_pixels(service, side):
    status, answer = service.post("/predict", bomb(side, side))
    assert status == 400
    assert "pixels" in detail(answer)


def test_too_many_bytes(service):
    # The limit is 0.1 MB; so few are sent before the answer comes and the connection is closed.
    status, answer = service.post("/predict", b"\0" * 120_000)
    assert status == 413
    assert "larger than 0.1" in detail(answer)


def test_too_many_bytes_that_are_not_announced(service, make_form):
    body, headers = make_form(b"\0" * 2_000_000)
    parts = (body[start : start + 50_000] for start in range(0, len(body), 50_000))
    try:
        status, answer, _ = service.ask("POST", "/predict", parts, headers)
    except ConnectionError:
        return  # it was told, and closed while we still sent
    assert status == 413 and "larger than 0.1" in detail(answer)


@pytest.mark.parametrize("query", ["score=2", "score=x", "format=exe", "style=x"])
def test_a_question_that_is_none(service, make_picture, query):
    status, answer = service.post(f"/predict?{query}", make_picture(red=9))
    assert status == 422
    assert query.split("=")[0] in detail(answer)


def test_several_at_once_are_not_mixed(service, make_picture):
    def ask(red):
        found = service.found("/predict", make_picture(red), f"{red}.png")
        return found["images"][0]["file_name"], found["annotations"][0]["area"]

    numbers = range(100, 1300, 30)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, numbers))
    assert found == [(f"{number}.png", number) for number in numbers]


def test_the_page_loads_nothing_from_elsewhere(service):
    _, answer, headers = service.ask("GET", "/")
    page = answer.decode()
    assert "<title>" in page
    assert not re.search(r"(src|href)=\"(?!docs|data:)|https?://|@import", page)
    assert "default-src 'none'" in headers["content-security-policy"]


def test_the_documentation_loads_nothing_from_elsewhere(service):
    _, answer, _ = service.ask("GET", "/docs")
    loaded = re.findall(r"(?:src|href)=\"([^\"]+)\"", answer.decode())
    assert loaded
    for address in loaded:
        assert address.startswith("/")
        status, content, _ = service.ask("GET", address)
        assert status == 200 and content
    _, answer, _ = service.ask("GET", "/openapi.json")
    assert {"/predict", "/health", "/model", "/preview"} == json.loads(answer)[
        "paths"
    ].keys()
