"""Many requests at once to `cvtk serve`: is one lost or mixed up, and does memory stay flat?

python benchmarks/serve.py outputs/fruit.onnx images/ --requests 500 --clients 16

Each image is first asked for alone; then all clients ask at once, and every answer is compared with that. Time and
memory are printed for each tenth of the requests.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from cvtk.data.sources import list_images
from cvtk.tables import table

# However busy the machine is: it is not the limit of time that is tried here.
PATIENT = ["--timeout", "3600"]


def main():
    parser = argparse.ArgumentParser(description="Many requests at once.")
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--clients", type=int, default=16)
    args = parser.parse_args()
    images = [image.path for image in list_images(args.images)]
    process, address = start(args.model)
    try:
        alone = [ask(address, image) for image in images]
        rows = [tenth(address, process.pid, images, alone, args, n) for n in range(10)]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    print(f"{args.model}, {len(images)} images, {args.clients} clients at once")
    print(f"{os.cpu_count()} processor cores, shared by the service and the clients")
    headings = [
        "requests",
        "lost",
        "other answer",
        "per second",
        "median s",
        "slowest s",
    ]
    print(table(rows, [*headings, "memory, MB"]))
    lost, mixed = (sum(int(row[column]) for row in rows) for column in (1, 2))
    sys.exit(1 if lost or mixed else 0)


def start(model):
    """The process of a service, and its address."""
    code = "from cvtk.cli import main; main(prog_name='cvtk')"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", str(model), "--port", "0", *PATIENT],
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if found := re.search(r"http://[\d.]+:\d+/", line):
            # Its messages are read, or it would wait at a full pipe.
            ThreadPoolExecutor(1).submit(process.stdout.read)
            return process, found[0]
    sys.exit("The service did not start.")


def ask(address, image):
    """What is found in an image, its file name left out; None where no answer comes."""
    try:
        with image.open("rb") as file:
            answer = requests.post(
                f"{address}predict?score=0.2", files={"image": file}, timeout=300
            )
        answer.raise_for_status()
    except (OSError, requests.RequestException) as error:
        print(f"{image}: {error}", file=sys.stderr)
        return None
    found = answer.json()
    assert found["images"][0]["file_name"] == image.name
    return json.dumps(found["annotations"])


def tenth(address, pid, images, alone, args, number):
    """The row of the table for a tenth of the requests."""
    count = args.requests // 10
    asked = [(number * count + k) % len(images) for k in range(count)]
    seconds = []

    def timed(index):
        start = time.perf_counter()
        answer = ask(address, images[index])
        seconds.append(time.perf_counter() - start)
        return answer

    start = time.perf_counter()
    with ThreadPoolExecutor(args.clients) as pool:
        answers = list(pool.map(timed, asked))
    rate = count / (time.perf_counter() - start)
    lost = sum(answer is None for answer in answers)
    other = sum(a not in (None, alone[i]) for a, i in zip(answers, asked, strict=True))
    return (
        f"{number * count + 1} to {(number + 1) * count}",
        *(str(lost), str(other), f"{rate:.1f}"),
        *(f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}"),
        f"{memory_of(pid):.0f}",
    )


def memory_of(pid):
    """Megabytes that a process holds."""
    if Path(f"/proc/{pid}/status").exists():
        text = Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1000
    return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(pid)])) / 1000


if __name__ == "__main__":
    main()
