"""`python -m cvtk`: the command `cvtk`, where the shell does not find it."""

from __future__ import annotations

from cvtk.cli import main

if __name__ == "__main__":
    main(prog_name="cvtk")
