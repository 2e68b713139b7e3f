"""The programs under test, and those that judge them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def run(*command, data: bytes | None = None) -> bytes:
    done = subprocess.run([str(part) for part in command], input=data, capture_output=True, check=False)
    assert done.returncode == 0, f"{command[0]} failed: {done.stderr.decode(errors='replace')[-2000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def examples():
    folder = os.environ.get("HEADWATER_PROTECT_EXAMPLES")
    assert folder, "HEADWATER_PROTECT_EXAMPLES must name the folder with the examples of headwater-protect"
    return Path(folder)


@pytest.fixture(scope="session")
def packager():
    program = os.environ.get("SHAKA_PACKAGER") or shutil.which("packager")
    assert program, "SHAKA_PACKAGER must name shaka-packager's program"
    return Path(program)
