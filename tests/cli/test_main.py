"""The command line as a whole: help, misspelt commands, errors, colour."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cvtk.cli import COMMANDS, main
from cvtk.errors import FileError


@pytest.fixture
def taken(tmp_path):
    """A folder that `cvtk demo` must not write to: a user's mistake that needs nothing heavy."""
    (tmp_path / "label.txt").write_text("mine\n")
    return tmp_path


def commands(command, path):
    """A command, and all below it, as (words, command)."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), [*path, name])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_runs_and_has_an_example(name):
    top = main.get_command(click.Context(main), name)
    for words, command in commands(top, [name]):
        result = CliRunner().invoke(main, [*words, "--help"], prog_name="cvtk")
        assert result.exit_code == 0, result.output
        assert command.help, words
        usage, rest = result.output.split("\n\n", 1)
        assert usage.startswith(f"Usage: cvtk {' '.join(words)}")
        assert f"cvtk {' '.join(words)}" in rest, (
            f"no example in cvtk {' '.join(words)} --help"
        )
        for option in command.params:
            assert isinstance(option, click.Argument) or option.help, (
                words,
                option.name,
            )


def test_help_lists_all_commands():
    result = CliRunner().invoke(main, ["-h"])
    assert result.exit_code == 0
    assert [
        line.split()[0]
        for line in result.output.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    ] == list(COMMANDS)


def test_a_misspelt_command_is_wrong_usage():
    result = CliRunner().invoke(main, ["creat"])
    assert result.exit_code == 2
    assert "No such command 'creat'. Did you mean 'create'" in result.stderr


def test_a_misspelt_option_is_wrong_usage():
    result = CliRunner().invoke(main, ["demo", "--outpt", "x"])
    assert result.exit_code == 2
    assert "--output" in result.stderr


def test_a_user_s_mistake_is_one_line_and_exit_code_1(taken):
    result = CliRunner().invoke(main, ["demo", "--output", str(taken)])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("Error: ")
    assert "already holds label.txt" in result.stderr
    assert "--force" in result.stderr
    assert (taken / "label.txt").read_text() == "mine\n"


def test_debug_shows_the_traceback(taken):
    result = CliRunner().invoke(main, ["--debug", "demo", "--output", str(taken)])
    assert isinstance(result.exception, FileError)
    code = "from cvtk.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--debug", "demo", "--output", str(taken)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "FileError" in done.stderr


@pytest.mark.parametrize(
    ("value", "coloured"), [("1", False), ("", True), (None, True)]
)
def test_no_color(taken, value, coloured):
    result = CliRunner(env={"NO_COLOR": value}).invoke(
        main, ["demo", "--output", str(taken)], color=True
    )
    assert ("\x1b[" in result.stderr) == coloured


def test_version():
    result = CliRunner().invoke(main, ["--version"], prog_name="cvtk")
    assert result.exit_code == 0
    assert result.output.startswith("cvtk, version 0.")


def run(*arguments, **surroundings):
    """The command in a process of its own."""
    code = "from cvtk.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **surroundings},
    )


def test_python_runs_it_where_the_shell_does_not_find_it():
    program = [sys.executable, "-m", "cvtk", "--version"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.stdout.startswith("cvtk, version 0.")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(tmp_path):
    code = "from cvtk.cli import main; main()"
    create = ("create", "--script", tmp_path / "segm.py", "--task", "segm")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, *create],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No space left on device.")
    assert len(done.stderr.splitlines()) == 1


def test_what_the_system_refuses_is_one_line_that_names_the_file(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")

    @click.command()
    def command():
        (blocked / "result.txt").write_text("")

    name = "a_command_that_forgets_about_errors"
    module = types.ModuleType(name)
    module.command = command
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(COMMANDS, name, (name, "Writes a file."))
    result = CliRunner().invoke(main, [name])
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: {blocked / 'result.txt'}: Not a directory. "
        "Check the path, its permissions and the space on the disk.\n"
    )


def test_a_name_with_an_escape_does_not_steer_the_terminal(tmp_path):
    folder = tmp_path / "a\x1b[31mred"
    folder.mkdir()
    (folder / "label.txt").write_text("mine")
    done = run("demo", "--output", folder)
    assert done.returncode == 1
    assert "\x1b" not in done.stderr and r"\x1b[31mred" in done.stderr


@pytest.mark.parametrize(
    "surroundings",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        {"PYTHONOPTIMIZE": "2"},
    ],
    ids=str,
)
def test_surroundings_do_no_harm(tmp_path, surroundings):
    script = tmp_path / "Blüte 花.py"
    create = ("create", "--script", script, "--task", "segm")
    done = run(*create, **surroundings)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and done.stdout.startswith("Wrote ")
    assert script.is_file()
    done = run(*create, **surroundings)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ") and "exists already" in done.stderr
    assert run("data", "--help", **surroundings).returncode == 0
