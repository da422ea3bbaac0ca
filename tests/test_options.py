"""Every option: its range, its type, what is said of a wrong value, and the signature that editors see."""

from __future__ import annotations

import importlib.util
import inspect
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from unicodedata import category

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvtk.declare import declarations, takes
from cvtk.errors import OptionError
from cvtk.options import (
    COMMANDS,
    EvaluateOptions,
    InferenceOptions,
    NextOptions,
    PredictOptions,
    TrainOptions,
    command_options,
)

# What must be given, and the smallest of it.
NEEDED = {
    TrainOptions: {"train": "a.json", "output_weights": "b.pth"},
    EvaluateOptions: {"data": "a.json"},
    PredictOptions: {"data": "a.json"},
    InferenceOptions: {"data": "a.json", "output": "b"},
    NextOptions: {"pool": "photos"},
}
DECLARED = [(kind, declared) for kind in NEEDED for declared in declarations(kind)]


def made(kind=TrainOptions, **values):
    return kind(**{**NEEDED[kind], **values})


def refused(kind=TrainOptions, **values):
    with pytest.raises(OptionError) as error:
        made(kind, **values)
    return str(error.value)


# The ranges, written out once more: the smallest value, the largest, and one beyond each.
RANGES = {
    (TrainOptions, "epoch"): (0, 1, 100_000, 100_001),
    (TrainOptions, "batch_size"): (0, 1, 4096, 4097),
    (TrainOptions, "num_workers"): (-1, 0, 256, 257),
    (TrainOptions, "lr"): (0.0, 1e-12, 1000.0, 1000.1),
    (TrainOptions, "image_size"): (31, 32, 8192, 8193),
    (TrainOptions, "seed"): (-1, 0, 2**32 - 1, 2**32),
    (TrainOptions, "early_stop"): (0, 1, 100_000, 100_001),
    (TrainOptions, "accumulate"): (0, 1, 10_000, 10_001),
    (TrainOptions, "frozen_stages"): (-2, -1, 4, 5),
    (TrainOptions, "warmup"): (-1, 0, 10_000_000, 10_000_001),
    (TrainOptions, "decay_epochs"): (0, 1, 100_000, 100_001),
    (TrainOptions, "decay_factor"): (0.0, 1e-9, 1.0, 1.001),
    (TrainOptions, "save_every"): (0, 1, 100_000, 100_001),
    (TrainOptions, "validate_every"): (0, 1, 100_000, 100_001),
    (TrainOptions, "log_every"): (0, 1, 1_000_000, 1_000_001),
    (TrainOptions, "folds"): (1, 2, 100, 101),
    (TrainOptions, "fold"): (0, 1, 100, 101),
    (TrainOptions, "seeds"): (1, 2, 100, 101),
    (TrainOptions, "epochs"): (0, 1, 100_000, 100_001),
    (EvaluateOptions, "tile"): (31, 32, 100_000, 100_001),
    (TrainOptions, "page"): (0, 1, 1_000_000, 1_000_001),
    (PredictOptions, "page"): (0, 1, 1_000_000, 1_000_001),
    (InferenceOptions, "page"): (0, 1, 1_000_000, 1_000_001),
    (EvaluateOptions, "overlap"): (-0.01, 0.0, 0.9, 0.91),
    (PredictOptions, "tile"): (31, 32, 100_000, 100_001),
    (PredictOptions, "overlap"): (-0.01, 0.0, 0.9, 0.91),
    (InferenceOptions, "tile"): (31, 32, 100_000, 100_001),
    (InferenceOptions, "overlap"): (-0.01, 0.0, 0.9, 0.91),
    (NextOptions, "tile"): (31, 32, 100_000, 100_001),
    (NextOptions, "overlap"): (-0.01, 0.0, 0.9, 0.91),
    (NextOptions, "count"): (0, 1, 1_000_000, 1_000_001),
    (NextOptions, "batch_size"): (0, 1, 4096, 4097),
    (NextOptions, "score"): (-0.01, 0.0, 1.0, 1.01),
    (PredictOptions, "score"): (-0.01, 0.0, 1.0, 1.01),
    (PredictOptions, "batch_size"): (0, 1, 4096, 4097),
    (PredictOptions, "top_k"): (0, 1, 100_000, 100_001),
    (InferenceOptions, "score"): (-0.01, 0.0, 1.0, 1.01),
    (InferenceOptions, "batch_size"): (0, 1, 4096, 4097),
    (InferenceOptions, "top_k"): (0, 1, 100_000, 100_001),
}


# What an option needs beside it.
GO_WITH = {
    "early_stop": {"valid": "v.json"},
    "fold": {"folds": 100},
    "seeds": {"test": "t.json"},
}


def test_every_number_has_a_range_that_is_tested():
    limited = {
        (kind, declared.name)
        for kind, declared in DECLARED
        if declared.base in (int, float) or declared.option.minimum is not None
    }
    assert limited == set(RANGES)


@pytest.mark.parametrize(("kind", "name"), RANGES)
def test_ranges(kind, name):
    below, smallest, largest, above = RANGES[kind, name]
    several = name == "decay_epochs"
    extra = GO_WITH.get(name, {})
    for value in (smallest, largest):
        options = made(kind, **{name: [value] if several else value}, **extra)
        read = getattr(options, "epoch" if name == "epochs" else name)
        assert read == ([value] if several else value)
    for value in (below, above, math.nan, math.inf, -math.inf, 10**400):
        wrong = [value] if several else value
        message = refused(kind, **{name: wrong}, **extra)
        assert f"{name} cannot be " in message
        assert f"Use {'whole numbers' if several else 'a '}" in message
        assert "\n" not in message


@pytest.mark.parametrize(
    ("kind", "declared"), DECLARED, ids=lambda v: getattr(v, "name", "")
)
def test_every_option_says_what_it_does_and_has_a_default_of_its_own_type(
    kind, declared
):
    option = declared.option
    assert option.help and not option.help.endswith(".")
    if declared.default is not inspect.Parameter.empty:
        read = declared.read(declared.default)
        assert read == declared.default or list(read) == list(declared.default)
    if declared.default is None:
        assert declared.optional


WRONG_TYPES = {
    "epoch": ["three", 3.0, 3.5, True, None, [3], ""],
    "lr": ["fast", True, [0.1], ""],
    "batch_size": ["all", 2.5, None, True],
    "resume": [1, 0, "true", None],
    "device": ["tpu", "cuda:", "cuda:x", "cpu:0", "", 0, None],
    "weights": ["", " ", None, 3],
    "metric": ["f1", None, 3],
    "set": ["a=1", [3], [None], None],
    "decay_epochs": [3, "16, 22", [1.5], ["a"]],
    "train": ["", " ", None, 3, b"a.json", "a\0b", ["a.json"]],
    "progress": ["print", 3, []],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, v) for name, vs in WRONG_TYPES.items() for v in vs]
)
def test_values_of_another_type_are_refused(name, value):
    message = refused(**{name: value})
    assert f"{name} cannot be {value!r}. Use " in message


def test_values_are_read():
    options = made(epoch="3", lr="1e-3", seed=np.int64(7), device="cuda:1")
    assert (options.epoch, options.lr, options.seed) == (3, 0.001, 7)
    assert type(options.epoch) is int and type(options.lr) is float
    assert made(lr=1).lr == 1.0
    assert made(decay_epochs=(8, 11)).decay_epochs == [8, 11]
    assert made(batch_size="auto").batch_size == "auto"
    assert "or auto" in refused(batch_size="Auto")
    assert "auto" not in refused(PredictOptions, batch_size="auto").split("Use")[1]


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:11"])
def test_devices(device):
    assert made(device=device).device == device


def test_paths():
    options = made(train=Path("é folder") / "a.json", valid="v.json")
    assert (options.train, options.valid) == (Path("é folder/a.json"), Path("v.json"))
    assert options.test is None
    assert options.annotation_files == {
        "train": Path("é folder/a.json"),
        "valid": Path("v.json"),
    }
    options = made(output_weights="out/my weights.pth")
    assert options.output == Path("out/my weights.pth")
    assert options.workspace == Path("out/my weights").absolute()
    several = made(PredictOptions, data=["a.png", Path("b.png")]).data
    assert several == [Path("a.png"), Path("b.png")]


def test_nothing_is_none_unless_that_means_something():
    for kind, declared in DECLARED:
        if not declared.optional:
            assert "cannot be None" in refused(kind, **{declared.name: None})
        else:
            assert declared.read(None) is None
            assert declared.option.unset, f"{declared.name}: say what None means"


@pytest.mark.parametrize(
    "pair", ["a=1", "a.b.0.c=[1, 2]", "+a.b=c=d", "a=", "a b=1", "a=1\n2"]
)
def test_pairs(pair):
    assert made(set=[pair]).set == [pair]


@pytest.mark.parametrize("pair", ["", "a", "=5", "+=5", " =5", "+", "++a=1"])
def test_malformed_pairs(pair):
    message = refused(set=["a=1", pair])
    assert "--set cannot be " in message and "Use KEY=VALUE, such as" in message


def test_all_wrong_values_are_told_at_once_each_with_its_remedy():
    message = refused(
        epoch=0, lr="nan", device="tpu", warmup=-1, set=["=5"], metric="f"
    )
    first, *lines = message.splitlines()
    assert first == "6 options cannot be used:"
    assert sorted(lines) == sorted(
        [
            "--epoch cannot be 0. Use a whole number from 1 to 100000.",
            "--lr cannot be 'nan'. Use a number from 1e-12 to 1000.",
            "--device cannot be 'tpu'. Use auto, cpu, cuda, cuda:0 or mps.",
            "warmup cannot be -1. Use a whole number from 0 to 10000000.",
            "--set cannot be ['=5']. Use KEY=VALUE, such as optim_wrapper.optimizer.lr=0.01.",
            "metric cannot be 'f'. Use 'coco' or 'voc'.",
        ]
    )


def test_a_long_value_is_shortened_and_cannot_steer_a_terminal():
    assert len(refused(device="x" * 10_000)) < 200
    assert "\x1b" not in refused(device="\x1b[31m")


def test_contradictions():
    assert refused(early_stop=3) == (
        "--early_stop needs --valid, to know which epoch is better. Give both, or neither."
    )
    assert made(early_stop=3, valid="v.json").early_stop == 3
    assert "does not end in .pth. Call the weights NAME.pth." in refused(
        output_weights="out/a.pt"
    )
    both = refused(output_weights="a", early_stop=3)
    assert both.startswith("2 options cannot be used:\n")


def test_epochs_is_another_name_of_epoch():
    options = made(epochs=7)
    assert (options.epoch, options.epochs) == (7, None)
    assert made(epoch=3, epochs=7).epoch == 7
    assert made(epoch=3).epoch == 3


def test_options_do_not_change():
    with pytest.raises(AttributeError):
        made().epoch = 5


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=5),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=9)), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@settings(max_examples=600, deadline=None)
@given(index=st.integers(0, len(DECLARED) - 1), value=ANYTHING)
def test_any_value_is_taken_or_refused_with_its_name(index, value):
    kind, declared = DECLARED[index]
    try:
        options = made(kind, **{declared.name: value})
    except OptionError as error:
        assert declared.name in str(error)
        assert not [c for c in str(error) if c != "\n" and category(c) in ("Cc", "Cs")]
    else:
        read = getattr(options, declared.name)
        assert declared.read(read) == read, "read once more, it stays"


def test_scripts_and_library_take_the_same():
    for command, parts in COMMANDS.items():
        names = [declared.name for declared in command_options(command)]
        assert len(names) == len(set(names)), command
        in_library = {d.name for part in parts for d in declarations(part)}
        assert set(names) <= in_library
        required = [declared.required for declared in command_options(command)]
        assert required == sorted(required, reverse=True), (
            "those first that one must give"
        )


class Example:
    @takes(TrainOptions)
    def train(self, options: TrainOptions) -> TrainOptions:
        """Trains a model.

        Returns:
            The options.
        """
        return options

    @takes(PredictOptions)
    def predict(self, options: PredictOptions) -> PredictOptions:
        """Predicts."""
        return options


def test_a_method_takes_the_fields_as_arguments():
    options = Example().train("a.json", "v.json", output_weights="b.pth", epochs=3)
    assert isinstance(options, TrainOptions)
    assert (options.train, options.valid) == (Path("a.json"), Path("v.json"))
    assert (options.epoch, options.batch_size) == (3, 4)


def test_editors_see_names_defaults_and_types():
    parameters = inspect.signature(Example.train).parameters
    fields = {d.name: d for d in declarations(TrainOptions)}
    assert set(parameters) == {"self", *fields}
    for name, declared in fields.items():
        assert parameters[name].default == declared.default, name
    assert parameters["epoch"].annotation is int
    assert parameters["lr"].annotation == float | None
    assert parameters["epoch"].kind is inspect.Parameter.KEYWORD_ONLY
    positional = [
        name
        for name, parameter in parameters.items()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    assert positional == ["self", "train", "valid", "test"]
    returned = inspect.signature(Example.train).return_annotation
    assert returned in (TrainOptions, "TrainOptions")


def test_help_tells_what_each_argument_means():
    text = inspect.getdoc(Example.train)
    assert text.startswith("Trains a model.\n\nArgs:\n    train: COCO file to ")
    assert text.endswith("\n\nReturns:\n    The options.")
    for declared in declarations(TrainOptions):
        assert f"\n    {declared.name}: {declared.option.help}" in text
    assert "lr: learning rate; None: fitted to the batch." in text
    assert "auto: as many as the GPU holds" in text
    assert inspect.getdoc(Example.predict).startswith("Predicts.\n\nArgs:\n    data: ")


def test_an_unknown_argument_is_named_with_the_nearest():
    with pytest.raises(TypeError) as error:
        Example().train("a.json", output_weights="b.pth", epohc=3)
    assert "train() has no argument 'epohc'. Did you mean 'epoch'" in str(error.value)
    with pytest.raises(TypeError, match="output_weights"):
        Example().train("a.json")


@pytest.mark.skipif(not importlib.util.find_spec("mypy"), reason="needs mypy")
def test_a_type_checker_sees_a_wrong_type_and_an_unknown_name(tmp_path):
    snippet = """
        from cvtk.declare import takes
        from cvtk.options import TrainOptions

        class Model:
            @takes(TrainOptions)
            def train(self, options: TrainOptions) -> int:
                return options.epoch

        model = Model()
        right: int = model.train("a.json", output_weights="b.pth", epoch=3)
        model.train("a.json", output_weights="b.pth", epoch="three")
        model.train("a.json", output_weights="b.pth", epohc=3)
        model.train("a.json")
        wrong: str = model.train("a.json", output_weights="b.pth")
    """
    file = tmp_path / "snippet.py"
    file.write_text(textwrap.dedent(snippet).lstrip())
    source = Path(inspect.getfile(TrainOptions)).parents[1]
    run = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--follow-imports", "silent"),
            *("--config-file", os.devnull, "--ignore-missing-imports"),
            *("--cache-dir", str(tmp_path / "cache"), str(file)),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(source)},
        check=False,
    )
    found = {
        int(line.split(":")[1]): line
        for line in run.stdout.splitlines()
        if "error:" in line
    }
    assert list(found) == [11, 12, 13, 14], run.stdout + run.stderr
    assert '"epoch"' in found[11] and "int" in found[11]
    assert '"epohc"' in found[12]
    assert '"output_weights"' in found[13]
    assert '"int"' in found[14] and '"str"' in found[14]
