"""What several tests share: one small made-up data set, and how training code runs here."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

# Before PyTorch is imported: several processes run tests side by side, each on one core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest

from cvtk.demo import DemoFiles, make_demo
from cvtk.options import TrainOptions

# What `make quick` leaves out beside trainings: a second or more for each test, mostly for a process of its
# own, a network, or the gradients of an operator.
SLOW = (
    "ops/",
    "analysis/test_comparison.py::test_a_training",
    "analysis/test_comparison.py::test_equal_models",
    "analysis/test_comparison.py::test_the_interval",
    "analysis/test_bootstrap.py::test_an_interval",
    "analysis/test_bootstrap.py::test_intervals_of_groups",
    "analysis/test_drawings.py",
    "analysis/test_report.py",
    "cli/test_doctor.py",
    "cli/test_main.py::test_surroundings_do_no_harm",
    "data/checks/test_damaged.py",
    "data/test_hostile.py",
    "data/test_scale.py",
    "data/test_show.py::test_masks_of_many_objects",
    "engine/test_backbones.py::test_what_is_said",
    "engine/test_balance.py::test_a_training",
    "engine/test_batch.py",
    "engine/test_config_files.py",
    "engine/test_configure.py",
    "engine/test_downloads.py",
    "engine/export/test_stand_ins.py",
    "engine/repeats/test_evaluate.py",
    "engine/test_evaluate.py",
    "engine/test_inference.py",
    "engine/test_start.py",
    "engine/test_lean_masks.py",
    "engine/test_poses.py",
    "engine/test_load_network.py",
    "engine/test_runner.py::test_weights_with",
    "engine/test_survivors.py",
    "engine/test_tiling.py",
    "engine/test_training_masks.py::test_a_whole_pipeline",
    "engine/test_training_masks.py::test_any_steps",
    "engine/test_weights.py::test_a_zip_bomb",
    "engine/test_weights.py::test_an_array_of_bytes",
    "engine/test_weights.py::test_no_damage",
    "metrics/test_evaluation.py::test_above_a_thousand",
    "metrics/test_hostile.py",
    "metrics/test_pycocotools.py",
    "pose2seg/test_network.py",
    "recipe/test_mask_rcnn.py",
    "recipe/test_start.py::test_from_scratch",
    "scripts/test_arguments.py::test_a_new_option",
    "scripts/test_create.py::test_any_text",
    "scripts/test_create.py::test_scripts_are_clean",
    "scripts/test_errors.py::test_a_value_out_of_range",
    "scripts/test_errors.py::test_through_a_real",
    "scripts/test_errors.py::test_vanilla_",
    "scripts/test_hostile.py",
    "scripts/test_parity.py",
    "serve/test_run.py",
    "test_docs.py::test_every_example",
    "test_doctor.py",
    "test_options.py::test_a_type_checker",
    "test_options.py::test_any_value",
    "test_package.py",
    "test_results.py::test_names_in_any_script",
    "visual/test_class_curves.py",
    "visual/test_curves.py",
    "ymir/test_executor.py",
    "zoo/test_index.py::test_every_model",
)


def pytest_configure(config: pytest.Config) -> None:
    """Lets Ctrl+C through, and fills yapf's cache before processes that run tests side by side read it.

    A shell's background job ignores Ctrl+C, as would the programs that tests start and stop. While a process writes
    that cache for the first time on a machine, another finds it empty and fails (see cvtk.engine.layout).
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        with contextlib.suppress(ImportError):
            importlib.import_module("yapf.yapflib.yapf_api")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the slow tests, and puts files that train first: the light ones then fill the last gaps."""
    training = set()
    for item in items:
        if item.nodeid.removeprefix("tests/").startswith(SLOW):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("train"):
            training.add(item.path)
    items.sort(key=lambda item: item.path not in training)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    """4, 3 and 3 images of 128 x 96 pixels; read only. Of each split the first has a crowd, the last is empty."""
    folder: Path = tmp_path_factory.mktemp("demo data")
    return make_demo(folder, images=(4, 3, 3), size=(128, 96), seed=1)


@pytest.fixture(scope="module")
def make_folder(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Path]]:
    """Makes folders that are gone when the tests of the file are: their trainings would fill a small disk."""
    made = []

    def make(name: str) -> Path:
        made.append(tmp_path_factory.mktemp(name))
        return made[-1]

    yield make
    for folder in made:
        shutil.rmtree(folder)


@pytest.fixture
def full_disk():
    """Gives a context in which no file grows beyond some bytes: what does is cut there, as on a full disk."""
    resource = pytest.importorskip("resource", reason="needs Linux or macOS")

    @contextlib.contextmanager
    def limited(size):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@pytest.fixture
def not_root(tmp_path):
    """Skips where the user may write everywhere."""
    folder = tmp_path / "read only"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):
        pytest.skip("root may write to read-only folders")


@pytest.fixture
def messages(caplog):
    """What cvtk says, also where `show_messages` was called before; `messages.text` is all of it."""
    logger = logging.getLogger("cvtk")
    propagates, logger.propagate = logger.propagate, False
    caplog.set_level(logging.INFO, "cvtk")
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)
    logger.propagate = propagates


@pytest.fixture
def chosen(demo, tmp_path):
    """Options of a small training on the demo data."""

    def choose(**changes):
        few = {
            "train": demo.train,
            "valid": demo.valid,
            "output_weights": tmp_path / "out put" / "a.v2.pth",
            "epoch": 2,
            "batch_size": 2,
            "num_workers": 0,
            "image_size": 96,
            "weights": "none",
            "seed": 3,
            "device": "cpu",
        }
        return TrainOptions(**{**few, **changes})

    return choose


@pytest.fixture
def built(demo, chosen):
    """Builds the configuration of a training on the demo data."""
    from cvtk.engine.configure import configure
    from cvtk.engine.spec import make_spec
    from cvtk.engine.training_data import prepare_data

    def build(
        model="rtmdet-ins_tiny_8xb32-300e_coco",
        task="segm",
        device="cpu",
        processes=1,
        labels=demo.label,
        **changes,
    ):
        options = chosen(**changes)
        spec = make_spec(model, labels, task, trust_weights=False)
        data = prepare_data(spec, options)
        return configure(spec, data, options, device, processes)

    return build
