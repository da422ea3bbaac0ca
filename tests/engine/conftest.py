"""What several tests of the engine share: what cvtk says, hostile files, and a server."""

from __future__ import annotations

import http.server
import logging
import os
import threading

import pytest


@pytest.fixture
def caplog(caplog):
    """What cvtk says, also where `show_messages` has been called before."""
    logger = logging.getLogger("cvtk")
    caplog.set_level(logging.INFO, "cvtk")
    logger.addHandler(caplog.handler)
    propagates, logger.propagate = logger.propagate, False
    yield caplog
    logger.removeHandler(caplog.handler)
    logger.propagate = propagates


class Bomb:
    """What a hostile checkpoint holds: unpickling it would make a folder."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


@pytest.fixture
def bomb(tmp_path):
    """A bomb, and the folder that it would make."""
    target = tmp_path / "hacked"
    return Bomb(target), target


@pytest.fixture
def no_proxy(tmp_path, monkeypatch):
    """Asks servers of this machine directly, and keeps downloads in the test's folder."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Server:
    """Gives out `content` by path; `answer` may send anything else in its place."""

    def __init__(self, address):
        self.address = address
        self.content = {}
        self.asked = []
        self.answer = None


@pytest.fixture
def server(no_proxy):
    """A real server of HTTP on this machine."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            served.asked.append(self.path)
            if served.answer is not None:
                served.answer(self)
                return
            content = served.content.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        served = Server(f"http://127.0.0.1:{running.server_port}")
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield served
        running.shutdown()


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """The path of weights that a training might have left: random ones, which report 20 objects per image."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("mmdet", reason="needs MMDetection")
    from configurations import RTMDET, fitted
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    folder = tmp_path_factory.mktemp("untrained")
    cfg = Config(fitted(RTMDET, weights="none", image_size=96))
    cfg.model.test_cfg.update(score_thr=0.0, max_per_img=20)
    init_default_scope("mmdet")
    torch.manual_seed(0)
    network = MODELS.build(cfg.model)
    cfg.dump(folder / "a.py")
    torch.save({"state_dict": network.state_dict(), "meta": {}}, folder / "a.pth")
    return folder / "a.pth"
