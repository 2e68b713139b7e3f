"""`headwater up` under a test's own hand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from headwater import HeadwaterConnection, needs_binary


def started(folder: Path, *arguments: str) -> Iterator[Installation]:
    """For a fixture: one that runs until its tests are over. Skips them where there is no binary, which CI may not."""
    made = Installation(folder)
    made.start(*arguments)
    yield made
    made.stop()
    made.log.close()


def told(path: Path) -> bytes:
    """What the kernel says of a thread or process; nothing of one that has just ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


class Installation:
    """A Headwater of a test's own, to be stopped, killed and started again on the same folder."""

    def __init__(self, folder: Path):
        self.binary = needs_binary()
        self.data = folder / "data"
        self.log = (folder / "log").open("wb")
        self.process: subprocess.Popen | None = None

    def start(self, *arguments: str) -> HeadwaterConnection:
        # Compiled code is the same everywhere: what the installation under test has of it need not be made again.
        compiled = "cache/compiled"
        made = Path(os.environ.get("HEADWATER_CONNECTION", "/")).parent / compiled
        if not self.data.exists() and made.is_dir():
            shutil.copytree(made, self.data / compiled, ignore=shutil.ignore_patterns(".*"))
        listeners = ("listen", "blob-listen", "metrics-listen", "rtmp-listen", "rtmps-listen", "srt-listen")
        given = {argument.partition("=")[0] for argument in arguments}
        ports = [f"--{part}=127.0.0.1:0" for part in listeners if f"--{part}" not in given]
        self.process = subprocess.Popen(
            [self.binary, "up", "--no-demo", f"--data={self.data}", *ports, *arguments],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        # Where nothing is compiled yet, several may do it at once.
        deadline = time.monotonic() + 600
        path = self.data / "connection.json"
        while True:
            # A killed one leaves its own behind.
            if path.exists() and HeadwaterConnection(str(path)).pid == self.process.pid:
                return HeadwaterConnection(str(path))
            assert self.process.poll() is None, f"it ended with {self.process.returncode}"
            assert time.monotonic() < deadline, "it was not ready within ten minutes"
            time.sleep(0.05)

    def connection(self) -> HeadwaterConnection:
        return HeadwaterConnection(str(self.data / "connection.json"))

    def worker(self, name: str = "transcoder") -> int:
        """The process id of a worker."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            children = []
            # The kernel lists the children of one thread only; the others have lists of their own.
            for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
                children += told(thread / "children").decode().split()
            for child in dict.fromkeys(children):
                if name.encode() in told(Path(f"/proc/{child}/cmdline")).split(b"\0"):
                    return int(child)
            time.sleep(0.1)
        raise AssertionError(f"no {name} runs")

    def resumed_chunks(self) -> int:
        """How many finished chunks the worker was handed that took a job last."""
        self.log.flush()
        plain = re.sub(r"\x1b\[[0-9]*m", "", Path(self.log.name).read_text())
        return int(re.findall(r"job taken .*chunks=(\d+)", plain)[-1])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=180)
