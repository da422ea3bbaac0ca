"""How an executor runs: one process that watches, and one or more for each job, which do the work.

The watching process needs little memory and loads no PyTorch, so it is still there to tell the platform what
happened when a job is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cvtk.errors import CvtkError, stopped_by_user
from cvtk.log import logger, show_messages
from cvtk.ymir.datasets import prepare
from cvtk.ymir.failures import Code, Failure, code_of
from cvtk.ymir.task import (
    ENV_VARIABLE,
    Environment,
    Task,
    read_environment,
    read_task,
)

JOB = "CVTK_YMIR_JOB"  # the environment variable that tells a process which job it does
FAILURE = "failure.json"
SECONDS_TO_END = 30.0


def run(
    *,
    train: Callable[[Task], None],
    mine: Callable[[Task], None],
    infer: Callable[[Task], None],
) -> None:
    """Does what env.yaml asks for; ends the program.

    The platform's env.yaml is found by itself; another one may be named on the command line.

    Args:
        train: Trains, and writes the stages.
        mine: Scores the images, and writes the scores.
        infer: Finds the objects, and writes them.
    """
    show_messages()
    signal.signal(signal.SIGTERM, _stop)
    job = os.environ.get(JOB)
    if job:
        functions = {"training": train, "mining": mine, "infer": infer}
        sys.exit(_work(job, functions[job]))
    if len(sys.argv) > 1:
        os.environ[ENV_VARIABLE] = sys.argv[1]
    sys.exit(_watch())


def _stop(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _watch() -> int:
    """Runs the jobs one after the other, and tells the platform how they end; returns the exit code."""
    try:
        environment = read_environment()
    except CvtkError as error:  # without it, nobody knows where the monitor is
        logger.error(f"{error} (code {int(code_of(error))})")
        return 1
    monitor = environment.monitor
    try:
        monitor.show(0.0)
        _do_jobs(environment)
        monitor.show(1.0)
    except KeyboardInterrupt:
        logger.error("Stopped.")
        monitor.fail(Code.OTHER)
        return 1
    except Exception as error:
        code = code_of(error)
        if not isinstance(error, CvtkError):
            traceback.print_exc(file=sys.stdout)
        logger.error(f"{error} (code {int(code)})")
        monitor.fail(code)
        return 1
    return 0


def _do_jobs(environment: Environment) -> None:
    if not environment.jobs:
        raise Failure(
            Code.CONFIGURATION,
            "env.yaml asks for nothing.",
            "One of run_training, run_mining and run_infer must be true.",
        )
    work = environment.output["work_dir"]
    for job in environment.jobs:
        task = read_task(environment, job)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        prepare(task)
        _do_job(task)
    shutil.rmtree(work)


def _do_job(task: Task) -> None:
    """Starts the processes of a job, and waits for them.

    Raises:
        Failure: They failed.
    """
    environment = {**os.environ, JOB: task.job}
    environment["CUDA_VISIBLE_DEVICES"] = ",".join(task.gpus)
    process = subprocess.Popen(command(task), env=environment)
    try:
        code = process.wait()
    finally:  # where this process is stopped itself
        _end(process)
    if code:
        raise _failure_of(task, code)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that still runs, and waits until it has."""
    process.terminate()
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def command(task: Task) -> list[str]:
    """The command that does a job: of a training, one process for each GPU, started by torchrun."""
    script = [str(Path(sys.argv[0]).absolute())]
    if task.job != "training" or len(task.gpus) < 2:
        return [sys.executable, *script]
    launcher = ["-m", "torch.distributed.run", "--standalone"]
    launcher.append(f"--nproc_per_node={len(task.gpus)}")
    return [sys.executable, *launcher, *script]


def _failure_of(task: Task, exit_code: int) -> Failure:
    """Why a job failed: what its process noted; or that it was killed."""
    note = task.work / FAILURE
    if note.is_file():
        told = json.loads(note.read_text("utf-8"))
        return Failure(Code(told["code"]), told["message"])
    if exit_code < 0:
        return Failure(
            Code.OTHER,
            f"The {task.job} was killed (signal {-exit_code}).",
            "Often the memory of the machine was full: try a smaller batch_size or fewer num_workers.",
        )
    return Failure(Code.OTHER, f"The {task.job} ended with exit code {exit_code}.")


def _work(job: str, function: Callable[[Task], None]) -> int:
    """Does one job in this process; notes why it fails; returns the exit code."""
    task = read_task(read_environment(), job)
    try:
        require_gpus(task)
        function(task)
    except KeyboardInterrupt:
        return 1
    except Exception as error:
        if not stopped_by_user(error):
            _note(task, error)
        return 1
    return 0


def _note(task: Task, error: Exception) -> None:
    """Tells the watching process why a job fails; of several processes, the first one to fail does."""
    if not isinstance(error, CvtkError):
        traceback.print_exc(file=sys.stdout)
    message = str(error) or type(error).__name__
    told = json.dumps({"code": int(code_of(error)), "message": message})
    with (
        contextlib.suppress(FileExistsError),
        (task.work / FAILURE).open("x", encoding="utf-8") as file,
    ):
        file.write(told)


def require_gpus(task: Task) -> None:
    """Checks that PyTorch sees the GPUs that the task was given.

    Raises:
        Failure: It does not.
    """
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found < len(task.gpus):
        raise Failure(
            Code.NO_GPU,
            f"The task was given the GPUs {','.join(task.gpus)}, and PyTorch sees {found} of them.",
            "Check the driver and the NVIDIA runtime of Docker, or choose no GPU.",
        )
