"""An ingest worker without media: it takes live events as a real one does, and says that it runs them.

Its side of the conversation is `crates/work/src/live`. It does what it is told at once, so tests see the states that
clients see, and nothing of what encoders send.
"""

from __future__ import annotations

import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from headwater import HeadwaterConnection, needs_binary, player_session

LEASE_S = 20
PAUSE_S = 0.1


def catalog_of(connection: HeadwaterConnection) -> list[str]:
    """Where the installation was told to keep its catalog, as arguments; nothing for the file in its folder."""
    given = Path(f"/proc/{connection.pid}/cmdline").read_bytes().decode().split("\0")
    for at, argument in enumerate(given):
        name, _, value = argument.partition("=")
        if name == "--catalog":
            return [f"--catalog={value or given[at + 1]}"]
    return []


def worker_token(connection: HeadwaterConnection) -> str:
    """A token of role `worker`, from the installation's own keys."""
    command = [needs_binary(), "token", "--role=worker", "--subject=e2e-ingest", f"--data={connection.path.parent}"]
    command += catalog_of(connection)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@dataclass
class Held:
    """An event under a lease."""

    lease: str
    assignment: dict
    recording: set[str] = field(default_factory=set)

    @property
    def endpoints(self) -> dict:
        token, locator = self.assignment["input"]["accessToken"], self.assignment["preview"]["locator"]
        protocol = self.assignment["input"]["protocol"]
        return {
            "input": [{"protocol": protocol, "url": f"{protocol.lower()}://localhost:1935/live/{token}"}],
            "preview": [{"protocol": "FragmentedMP4", "url": f"http://localhost:8080/{locator}/preview.ism/manifest"}],
        }

    def report(self) -> dict:
        """That all that is wanted is so."""
        outputs = []
        for output in self.assignment["outputs"]:
            finished = output["wanted"] == "finish" and output["outputId"] in self.recording
            outputs.append({"outputId": output["outputId"], "state": "finished" if finished else "recording"})
            self.recording.add(output["outputId"])
        return {
            "lease": self.lease,
            "generation": self.assignment["generation"],
            "state": {"standBy": "standBy", "run": "running", "stop": "preparing"}[self.assignment["wanted"]],
            "endpoints": self.endpoints if self.assignment["wanted"] == "run" else {},
            "outputs": outputs,
        }


class LiveWorker:
    """Runs in a thread of its own between `with` and its end, and lets every event go then."""

    def __init__(self, connection: HeadwaterConnection):
        self._base = connection.apiUrl + "/internal/v1/liveEvents"
        self._session = player_session(connection)
        self._session.headers["Authorization"] = f"Bearer {worker_token(connection)}"
        self._held: dict[str, Held] = {}
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> LiveWorker:
        self._thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self._ended.set()
        self._thread.join(timeout=30)
        assert self._failure is None, f"the worker failed: {self._failure!r}"

    def _call(self, path: str, body: dict):
        response = self._session.post(f"{self._base}/{path}", json=body, timeout=30)
        assert response.status_code in (200, 204, 409), f"{path}: {response.status_code} {response.text}"
        return response

    def _run(self) -> None:
        try:
            while not self._ended.wait(PAUSE_S):
                self._claim()
                for event in list(self._held):
                    self._renew(event)
            for event in list(self._held):
                self._release(event)
        except BaseException as failure:
            self._failure = failure

    def _claim(self) -> None:
        answer = self._call("claim", {"worker": "e2e", "leaseSeconds": LEASE_S})
        if answer.status_code == 200:
            claim = answer.json()
            self._held[claim["assignment"]["eventId"]] = Held(claim["lease"], claim["assignment"])

    def _renew(self, event: str) -> None:
        held = self._held[event]
        answer = self._call(f"{event}/renew", held.report())
        if answer.status_code == 409:
            del self._held[event]
            return
        held.assignment = answer.json()
        if held.assignment["wanted"] == "stop":
            self._release(event)

    def _release(self, event: str) -> None:
        self._call(f"{event}/release", {"lease": self._held.pop(event).lease})
