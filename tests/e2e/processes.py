"""Processes that tests start, kill, pause and start again, each on the address that it had."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import requests

_claims: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody has, that the kernel gives nobody by itself, and that no other suite on this machine is given while this one
    runs: whoever is killed finds it free when it is started again."""
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    outside = [*range(max(10_000, first - 20_000), first), *range(last + 1, 65_536)]
    for port in random.sample(outside, len(outside)):
        claim = socket.socket(socket.AF_UNIX)
        try:
            # In the abstract: gone with the process.
            claim.bind(f"\0headwater-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
    raise AssertionError("there is no free port")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Part:
    """A process, with all that it starts in a process group of its own."""

    name: str
    command: list[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen | None = None
    #: Answers when it is up, for those that listen.
    port: int | None = None
    #: Of /livez, /readyz and /metrics.
    health: int | None = None

    def start(self) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**clean, **self.environment},
            )  # fmt: skip

    def wait_up(self, patience_s: float = 180) -> None:
        deadline = time.monotonic() + patience_s
        while self.port is not None and not listens(self.port):
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.tail()}"
            assert time.monotonic() < deadline, f"{self.name} does not listen:\n{self.tail()}"
            time.sleep(0.1)

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def signal(self, what: signal.Signals) -> None:
        os.killpg(self.process.pid, what)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.kill()

    def readiness(self) -> tuple[int, dict]:
        answer = requests.get(f"http://127.0.0.1:{self.health}/readyz", timeout=60)
        return answer.status_code, answer.json()

    def liveness(self) -> int:
        return requests.get(f"http://127.0.0.1:{self.health}/livez", timeout=60).status_code
