"""A model whose answers are known, served by a real process, and a client that asks it."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import uuid
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cvtk.exported.description import FORMAT, KEY, Description, ImageForm, MaskForm

SIDE = 64  # of the pictures that the model takes, in pixels


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """An exported model: what is red is a "berry" (score 0.9), what is blue a "leaf" (0.4)."""
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    pytest.importorskip("fastapi_offline", reason="needs cvtk[serve]")
    helper, kinds = onnx.helper, onnx.TensorProto

    def constant(name, values, kind):
        array = np.asarray(values)
        return helper.make_tensor(name, kind, array.shape, array.ravel())

    inputs = [
        helper.make_tensor_value_info("image", kinds.UINT8, [1, SIDE, SIDE, 3]),
        helper.make_tensor_value_info("score", kinds.FLOAT, []),
    ]
    outputs = [
        helper.make_tensor_value_info("boxes", kinds.FLOAT, [2, 4]),
        helper.make_tensor_value_info("scores", kinds.FLOAT, [2]),
        helper.make_tensor_value_info("labels", kinds.INT64, [2]),
        helper.make_tensor_value_info("masks", kinds.FLOAT, [2, SIDE, SIDE]),
    ]
    nodes = [
        helper.make_node("Cast", ["image"], ["numbers"], to=kinds.FLOAT),
        helper.make_node("Sub", ["numbers", "half"], ["bright"]),
        helper.make_node("Transpose", ["bright"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Squeeze", ["planes", "first"], ["colours"]),
        helper.make_node("Gather", ["colours", "red_blue"], ["masks"], axis=0),
        helper.make_node("Identity", ["all"], ["boxes"]),
        helper.make_node("Identity", ["both"], ["scores"]),
        helper.make_node("Identity", ["names"], ["labels"]),
    ]
    constants = [
        constant("half", np.float32(127.5), kinds.FLOAT),
        constant("first", [0], kinds.INT64),
        constant("red_blue", [0, 2], kinds.INT64),
        constant("all", [[0.0, 0, SIDE, SIDE]] * 2, kinds.FLOAT),
        constant("both", [0.9, 0.4], kinds.FLOAT),
        constant("names", [0, 1], kinds.INT64),
    ]
    graph = helper.make_graph(nodes, "colours", inputs, outputs, constants)
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    description = Description(
        format=FORMAT,
        cvtk="0.2.0",
        architecture="colours",
        task="segm",
        classes=["berry", "leaf"],
        category_ids=[3, 7],
        image=ImageForm((SIDE, SIDE), keep_ratio=True, canvas=(SIDE, SIDE)),
        masks=MaskForm("input", threshold=0.0),
        lowest_score=0.05,
        score=0.5,
        licence="CC0",
    )
    helper.set_model_props(made, {KEY: description.text()})
    file = tmp_path_factory.mktemp("served") / "colours.onnx"
    onnx.save(made, file)
    return file


class Running:
    """A service in a process of its own."""

    def __init__(self, *args):
        code = "from cvtk.cli import main; main(prog_name='cvtk')"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", *map(str, args), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.first_line = self.process.stdout.readline()
        found = re.search(r"http://([\d.]+):(\d+)/", self.first_line)
        assert found, self.first_line + self.process.stdout.read()
        self.host, self.port = found[1], int(found[2])

    def ask(self, method, path, body=None, headers=None):
        """Status, content and headers of an answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def post(self, path, content, name="photo.png", field="image"):
        """Status and content of the answer to an image."""
        body, headers = form(content, name, field)
        return self.ask("POST", path, body, headers)[:2]

    def found(self, path, content, name="photo.png"):
        """The COCO document that answers to an image."""
        status, answer = self.post(path, content, name)
        assert status == 200, answer
        return json.loads(answer)

    def stop(self):
        """Ends it as Ctrl+C does; what it said, and its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        if not self.process.stdout.closed:
            self.said, _ = self.process.communicate(timeout=20)
        return self.said, self.process.returncode


def form(content, name="photo.png", field="image"):
    """The body and headers of a form with one file."""
    boundary = uuid.uuid4().hex
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


@pytest.fixture(scope="session")
def service(model):
    """The model, served with low limits."""
    running = Running(model, "--max_megabytes", 0.1, "--max_megapixels", 0.02)
    yield running
    running.stop()


def picture(red, blue=0, form="PNG", size=(SIDE, SIDE)):
    """A picture with so many red pixels, and below them so many blue ones."""
    pixels = np.zeros((size[1] * size[0], 3), np.uint8)
    pixels[:red, 0] = 255
    pixels[red : red + blue, 2] = 255
    buffer = BytesIO()
    Image.fromarray(pixels.reshape(size[1], size[0], 3)).save(buffer, form)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def make_picture():
    """Makes pictures; see `picture`."""
    return picture


@pytest.fixture(scope="session")
def make_form():
    """Makes forms; see `form`."""
    return form


@pytest.fixture
def start():
    """Starts services; what a test leaves running is ended."""
    started = []

    def run(*args):
        started.append(Running(*args))
        return started[-1]

    yield run
    for running in started:
        running.stop()
