"""Videos: their frames in order, in RGB, with times; and what is none."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs OpenCV")

import cv2

from cvtk.data.sources import find_inputs, frames_of
from cvtk.data.videos import Video, is_video
from cvtk.errors import DataError, FileError


@pytest.fixture(params=["mp4", "avi", "mkv"])
def clip(request, tmp_path):
    """Five red frames of 64 x 48 pixels that become brighter, 8 per second."""
    file = tmp_path / f"a clip.{request.param}"
    codec = "MJPG" if request.param == "avi" else "mp4v"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*codec), 8, (64, 48))
    for number in range(5):
        frame = np.zeros((48, 64, 3), np.uint8)
        frame[..., 2] = 40 + 40 * number  # OpenCV: blue, green, red
        writer.write(frame)
    writer.release()
    return file


def test_frames_come_in_order_with_their_times(clip):
    video = Video.open(clip)
    assert (video.count, video.rate) == (5, 8)
    frames = list(video.frames())
    assert [f.number for f in frames] == [1, 2, 3, 4, 5]
    seconds = [f.seconds for f in frames]
    assert seconds == pytest.approx([0, 0.125, 0.25, 0.375, 0.5], abs=1e-3)
    reds = [f.pixels[..., 0].mean() for f in frames]
    assert reds == pytest.approx([40, 80, 120, 160, 200], abs=8)
    assert all(f.pixels[..., 2].mean() < 30 for f in frames)


def test_frames_as_images(clip):
    video = find_inputs(clip)
    assert isinstance(video, Video)
    sources = list(frames_of(video))
    assert [s.name for s in sources] == [f"a clip_{n:06d}.jpg" for n in range(1, 6)]
    assert [s.id for s in sources] == [1, 2, 3, 4, 5]
    assert sources[4].seconds == pytest.approx(0.5, abs=1e-3)
    assert sources[0].pixels.shape == (48, 64, 3)


def test_a_video_that_is_not_watched_to_its_end_leaves_no_thread(clip):
    frames = frames_of(Video.open(clip))
    assert next(frames).id == 1
    frames.close()


def test_what_is_no_video_ends_in_a_line(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"a\.mp4 cannot be read as a video"):
        find_inputs(tmp_path / "a.mp4")
    with pytest.raises(FileError, match=r"none\.mp4: no such file"):
        find_inputs(tmp_path / "none.mp4")
    (tmp_path / "b.mp4").mkdir()
    assert not is_video(tmp_path / "b.mp4")
