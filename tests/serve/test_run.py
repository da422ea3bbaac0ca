"""How a service starts and ends, and what keeps it from starting."""

from __future__ import annotations

import socket
import sys
import time

import pytest
from click.testing import CliRunner

import cvtk.cli


def run(*args):
    done = CliRunner().invoke(cvtk.cli.main, ["serve", *map(str, args)])
    assert "Traceback" not in done.output
    return done


def test_ctrl_c_ends_it(start, model, make_picture):
    running = start(model)
    assert "colours.onnx" in running.first_line and "Ctrl+C" in running.first_line
    running.found("/predict", make_picture(red=9))
    said, code = running.stop()
    assert said.splitlines()[-1] == "Ended."
    assert "photo.png: objects 1, seconds" in said
    assert "Traceback" not in said and code == 0
    with pytest.raises(ConnectionRefusedError):
        running.ask("GET", "/health")


def test_the_score_of_the_service(start, model, make_picture):
    running = start(model, "--score", 0.1)
    found = running.found("/predict", make_picture(red=9, blue=9))
    running.stop()
    assert len(found["annotations"]) == 2


def test_a_request_that_does_not_end(start, model, make_form, make_picture):
    running = start(model, "--timeout", 1)
    body, headers = make_form(make_picture(red=9))
    lines = {"Host": "here", "Content-Length": len(body), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    begin = time.monotonic()
    with socket.create_connection((running.host, running.port), timeout=20) as line:
        line.sendall(f"POST /predict HTTP/1.1\r\n{head}\r\n".encode() + body[:-20])
        answer = line.makefile("rb").read()  # which may come in several pieces
    assert answer.startswith(b"HTTP/1.1 504") and b"1 seconds" in answer
    assert 0.5 < time.monotonic() - begin < 15
    running.stop()


def test_a_port_that_is_taken(model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run(model, "--port", taken.getsockname()[1])
    assert done.exit_code == 1
    assert "in use. Choose another --port" in done.output


def test_an_address_of_another_machine(model):
    done = run(model, "--host", "192.0.2.1")
    assert done.exit_code == 1
    assert "Nothing can be served at 192.0.2.1" in done.output


@pytest.mark.parametrize("name", ["mask-rcnn_r50_fpn_1x_coco", "photo.png"])
def test_what_is_no_model(name):
    done = run(name, "--port", 0)
    assert done.exit_code == 1
    assert "neither weights nor an exported model" in done.output


def test_a_model_that_needs_more_than_an_image(tmp_path):
    pytest.importorskip("mmdet", reason="needs MMDetection")
    (tmp_path / "dancers.pth").touch()
    (tmp_path / "dancers.py").write_text(
        "model = dict(type='Pose2Seg')\n"
        "test_dataloader = dict(dataset=dict(metainfo=dict(classes=['dancer']), pipeline=[]))\n"
        "test_evaluator = dict(metric=['segm'])\n"
    )
    done = run(tmp_path / "dancers.pth", "--port", 0)
    assert done.exit_code == 1
    assert "dancers.pth finds the masks of poses" in done.output
    assert len(done.output.splitlines()) == 1


def test_a_model_that_is_not_there(model):
    done = run("none.onnx", "--port", 0)
    assert done.exit_code == 1
    assert "There is no exported model at none.onnx" in done.output


def test_without_the_packages(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = run(model)
    assert done.exit_code == 1
    assert 'pip install "cvtk[serve]"' in done.output
