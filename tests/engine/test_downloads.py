"""Downloads from a server on this machine: whole or not there, and never waited for without end."""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import sys
import time

import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmengine", reason="needs MMEngine")

import torch

from cvtk.engine import downloads
from cvtk.engine.downloads import cache_name, fetched
from cvtk.errors import ModelError, NetworkError


def weights(value):
    """A file of weights, as bytes."""
    file = io.BytesIO()
    torch.save({"a": torch.full((100,), float(value))}, file)
    return file.getvalue()


def hashed(content):
    """A name that ends in the start of the content's SHA-256, as PyTorch's files have it."""
    return f"/tiny-{hashlib.sha256(content).hexdigest()[:8]}.pth"


def refused(url, match, **options):
    """Nothing is left of a download that fails, and one line tells the address and what to do."""
    with pytest.raises(NetworkError, match=match) as error:
        fetched(url, **options)
    text = str(error.value)
    assert url in text and "\n" not in text
    assert "--weights FILE" in text and "--weights none" in text
    folder = cache_name(url).parent
    assert not folder.exists() or not list(folder.iterdir()), "nothing half is left"


def test_a_file_is_downloaded_once(server):
    server.content["/new.pth"] = weights(1)
    url = f"{server.address}/new.pth"
    file = fetched(url)
    assert file.read_bytes() == server.content["/new.pth"]
    assert fetched(url) == file
    assert server.asked == ["/new.pth"]
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_equal_names_of_two_addresses_are_two_files(server):
    server.content = {"/one/a.pth": weights(1), "/two/a.pth": weights(2)}
    files = [fetched(server.address + path) for path in server.content]
    assert [f.read_bytes() for f in files] == list(server.content.values())


def test_a_query_is_part_of_the_address(server):
    server.content = {"/a.pth?v=1": weights(1), "/a.pth?v=2": weights(2)}
    files = [fetched(server.address + path) for path in server.content]
    assert [f.read_bytes() for f in files] == list(server.content.values())


@pytest.mark.parametrize(
    "name", ["/../../evil.pth", "/..%2Fevil.pth", "/", "/" + "a" * 300]
)
def test_no_name_leads_out_of_the_cache(name, server, tmp_path):
    file = cache_name(server.address + name)
    assert file.parent == tmp_path / "cache" / "checkpoints"
    assert len(file.name) < 150


def test_a_download_that_breaks_off_is_refused(server):
    def answer(request):
        request.send_response(200)
        request.send_header("Content-Length", "5000")
        request.end_headers()
        request.wfile.write(b"x" * 1000)

    server.answer = answer
    refused(f"{server.address}/a.pth", "1000 of 5000 bytes")


def test_a_download_in_chunks_that_breaks_off_is_refused(server):
    def answer(request):
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"400\r\n" + b"x" * 100)

    server.answer = answer
    refused(f"{server.address}/a.pth", "was not downloaded")


@pytest.mark.parametrize("after_headers", [False, True])
def test_a_server_that_says_nothing_is_not_waited_for(after_headers, server):
    def answer(request):
        if after_headers:
            request.send_response(200)
            request.send_header("Content-Length", "5000")
            request.end_headers()
        time.sleep(3)

    server.answer = answer
    start = time.monotonic()
    refused(f"{server.address}/a.pth", "timed out", timeout=0.2)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("where", ["headers", "content", "chunk"])
def test_a_server_that_trickles_is_not_waited_for(where, server):
    """A byte now and then keeps every call that reads waiting."""

    def answer(request):
        start = b"HTTP/1.1 200 OK\r\n"
        if where == "content":
            start += b"Content-Length: 5000\r\n\r\n"
        if where == "chunk":
            start += b"Transfer-Encoding: chunked\r\n\r\n1;"
        with contextlib.suppress(OSError):
            for byte in start + b"x" * 200:
                request.connection.sendall(bytes([byte]))
                time.sleep(0.02)

    server.answer = answer
    start = time.monotonic()
    refused(f"{server.address}/a.pth", "too slow", timeout=2, window=0.5)
    assert time.monotonic() - start < 3


def test_a_slow_server_is_waited_for(server, monkeypatch):
    content = weights(1) * 100
    monkeypatch.setattr(downloads, "LEAST", 1000)

    def answer(request):
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        for number in range(0, len(content), 20_000):
            request.wfile.write(content[number : number + 20_000])
            time.sleep(0.1)

    server.answer = answer
    file = fetched(f"{server.address}/a.pth", window=0.3)
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    "answer",
    [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b""],
)
def test_an_answer_that_is_none_is_refused(answer, server):
    server.answer = lambda request: request.connection.sendall(answer)
    refused(f"{server.address}/a.pth", "was not downloaded")


def test_a_missing_file_is_told(server):
    refused(f"{server.address}/a.pth", "404")


def test_a_content_that_is_not_what_its_name_says_is_refused(server):
    server.content["/tiny-0123abcd.pth"] = weights(1)
    refused(f"{server.address}/tiny-0123abcd.pth", "hash")


def test_without_network_the_address_is_told(no_proxy):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    refused(f"http://127.0.0.1:{port}/tiny.pth", "refused")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/a.pth", "http://[::1/a"]
)
def test_only_the_web_is_asked(url, no_proxy):
    with pytest.raises(ModelError, match="--weights FILE"):
        fetched(url)


@pytest.mark.parametrize("cut", [0, 20, 900])
@pytest.mark.parametrize("has_hash", [False, True])
def test_a_damaged_file_of_the_cache_is_downloaded_anew(cut, has_hash, server):
    content = weights(1)
    path = hashed(content) if has_hash else "/a.pth"
    server.content[path] = content
    file = cache_name(server.address + path)
    file.parent.mkdir(parents=True)
    file.write_bytes(content[:cut])
    assert fetched(server.address + path) == file
    assert file.read_bytes() == content
    assert len(server.asked) == 1


def test_a_damaged_file_is_asked_for_once(server):
    server.content["/a.pth"] = b"damaged at its source"
    url = f"{server.address}/a.pth"
    for _ in range(2):
        assert fetched(url).read_bytes() == b"damaged at its source"
    assert len(server.asked) == 2, "once by each call, not without end"


def test_what_would_run_code_is_not_downloaded_again(server, bomb):
    trap, target = bomb
    file = io.BytesIO()
    torch.save({"a": trap}, file)
    server.content["/a.pth"] = file.getvalue()
    for _ in range(2):
        fetched(f"{server.address}/a.pth")
    assert len(server.asked) == 1 and not target.exists()


def test_what_other_programs_downloaded_is_taken_where_its_hash_fits(server):
    content = weights(1)
    name = hashed(content)
    other = cache_name(server.address + name).with_name(name[1:])
    other.parent.mkdir(parents=True)
    other.write_bytes(content)
    assert fetched(server.address + name) == other
    assert server.asked == []

    server.content[name] = content
    other.write_bytes(content[:500])
    assert fetched(server.address + name) != other
    assert other.read_bytes() == content[:500], "it is not ours to replace"


def test_a_terminal_shows_a_bar(server, monkeypatch, capsys):
    server.content["/a.pth"] = weights(1)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    fetched(f"{server.address}/a.pth")
    assert f"[{'#' * 20}] 0.0/0.0 MB" in capsys.readouterr().out


def test_a_file_shows_none(server, capsys):
    server.content["/a.pth"] = weights(1)
    fetched(f"{server.address}/a.pth")
    assert "MB" not in capsys.readouterr().out
