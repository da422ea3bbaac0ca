"""The line of progress: what it says, and where it is shown."""

from __future__ import annotations

import io

import pytest

from cvtk.engine.progress import Bar, Standing, standing


@pytest.mark.parametrize(
    ("done", "total", "seconds", "text"),
    [
        (50, 200, 25, "[#####...............] 50/200  2.00 images/s  ETA 0:01:15"),
        (0, 10, 0, "[....................] 0/10  0.00 images/s  ETA ?"),
        (10, 10, 4, "[####################] 10/10  2.50 images/s  ETA 0:00:00"),
        (7, 0, 2, "7 images  3.50 images/s"),
    ],
)
def test_the_line_of_images(done, total, seconds, text):
    assert str(standing(done, total, seconds)) == text


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("console", [io.StringIO, Terminal])
def test_a_line_is_replaced_on_a_terminal_alone(console, monkeypatch):
    target = console()
    monkeypatch.setattr("sys.stdout", target)
    bar = Bar()
    bar.show(Standing(1, 3, "before"))
    bar.show(Standing(2, 3, "soon after"))  # within 0.2 seconds
    bar.show(Standing(3, 3, "at the end"))
    text = target.getvalue()
    if console is Terminal:
        assert text.count("\r") == 2 and "\n" not in text
        assert "[######..............] 1/3" in text and "at the end" in text
    else:
        assert text == ""


def test_a_notebook_gets_an_element_with_its_text_escaped():
    shown = Standing(1, 4, before="class <b>", after="ETA 0:00:01")._repr_html_()
    assert shown == (
        '<progress value="1" max="4"></progress> class &lt;b&gt; · 1/4 · ETA 0:00:01'
    )
    assert "<progress" not in Standing(7, 0, count="7 images")._repr_html_()
