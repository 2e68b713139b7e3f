"""A host that others work for, as of several machines."""

from __future__ import annotations

import base64
import secrets
import subprocess
from pathlib import Path

from headwater import HeadwaterConnection, needs_binary
from installation import Installation
from processes import Part, free_port


class Separate:
    """Hosts that others work for: `headwater blobstore` and `headwater notifier`, as of several machines."""

    def __init__(self, folder: Path, installation: Installation):
        self.folder, self.installation, self.binary = folder, installation, needs_binary()
        self.api = f"http://127.0.0.1:{free_port()}"
        self.parts: list[Part] = []
        self.secrets = {
            "HEADWATER_STORAGE_KEY": base64.b64encode(secrets.token_bytes(64)).decode(),
            "HEADWATER_EVENT_SECRET": secrets.token_urlsafe(32),
        }

    def host(self, *arguments: str) -> HeadwaterConnection:
        return self.installation.start(f"--listen={self.api.removeprefix('http://')}", *arguments)

    def host_of(self, store: Part, *arguments: str) -> HeadwaterConnection:
        """A host whose media are in that store."""
        return self.host(
            f"--storage-url=http://127.0.0.1:{store.port}/local", f"--storage-key={self.secrets['HEADWATER_STORAGE_KEY']}",
            f"--event-secret={self.secrets['HEADWATER_EVENT_SECRET']}", *arguments,
        )  # fmt: skip

    def store(self) -> Part:
        port = free_port()
        environment = {
            **self.secrets, "HEADWATER_API_URL": self.api, "HEADWATER_DATA": str(self.folder / "store"),
            "HEADWATER_BLOB_LISTEN": f"127.0.0.1:{port}",
        }  # fmt: skip
        return self._start(Part("store", [self.binary, "blobstore"], self.folder / "store.log", environment, port=port))

    def worker(self, verb: str, number: int = 1, **environment: str) -> Part:
        health = free_port()
        token = subprocess.run(
            [self.binary, "token", "--role=worker", f"--data={self.installation.data}"], check=True, capture_output=True, text=True
        ).stdout.strip()  # fmt: skip
        environment |= {
            "HEADWATER_API_URL": self.api, "HEADWATER_TOKEN": token, "HEADWATER_HEALTH_LISTEN": f"127.0.0.1:{health}",
        }  # fmt: skip
        name = f"{verb}-{number}"
        return self._start(Part(name, [self.binary, verb], self.folder / f"{name}.log", environment, port=health))

    def _start(self, part: Part) -> Part:
        self.parts.append(part)
        part.start()
        part.wait_up()
        return part

    def stop(self) -> None:
        for part in self.parts:
            part.stop()
