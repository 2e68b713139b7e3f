"""The processes of the bed."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import s3
from headwater import HeadwaterConnection
from processes import Part, free_port

ROOT = Path(__file__).resolve().parents[2]
NGINX = ROOT / "infra/compose/nginx.conf"


class Postgres(Part):
    """A server whose sessions are paused along with it: they are in groups of their own."""

    def signal(self, what: signal.Signals) -> None:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in [self.process.pid, *map(int, children)]:
            try:
                os.kill(pid, what)
            except ProcessLookupError:
                pass

    def start(self) -> None:
        # A killed one leaves this behind, and would hesitate over it.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        super().start()

    @property
    def data(self) -> Path:
        return Path(self.command[self.command.index("-D") + 1])


def postgres(folder: Path) -> Postgres:
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert binaries, "PostgreSQL is not installed (Debian: postgresql)"
    bin_folder = binaries[-1].parent
    # Not below pytest's folders: those are root's alone, and it will not run as root.
    data, port = Path(tempfile.mkdtemp(prefix="headwater-bed-")), free_port()
    other = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    if other:
        shutil.chown(data, "nobody", "nogroup")
    subprocess.run(
        [*other, bin_folder / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    part = Postgres(
        "postgres",
        [*other, str(bin_folder / "postgres"), "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1",
         "-c", "unix_socket_directories=", "-c", "max_connections=300"],
        folder / "postgres.log", port=port,
    )  # fmt: skip
    return part


class Bed:
    """All of them. `nginx` is where clients go. `azurite`: the program of Azurite, to be the store in place of our own; `bucket`: an S3 server
    with the bucket `bed`, for our own to keep its blobs in. `tls`: clients come by https, workers as before."""

    def __init__(self, folder: Path, azurite: str | None = None, bucket: str | None = None, tls: bool = False):
        self.folder, self.binary = folder, os.environ["HEADWATER_BINARY"]
        self.ports = {name: free_port() for name in ("nginx", "nginx-tls", "blobs", "host-1", "host-2")}
        self.inside = f"http://127.0.0.1:{self.ports['nginx']}"
        self.public = f"https://127.0.0.1:{self.ports['nginx-tls']}" if tls else self.inside
        self.bucket, self.tls = bucket, tls
        self.postgres = postgres(folder)
        self.common = {
            "HEADWATER_CATALOG": f"postgres://postgres@127.0.0.1:{self.postgres.port}/postgres",
            "HEADWATER_MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
            "HEADWATER_EVENT_SECRET": secrets.token_urlsafe(32),
            "HEADWATER_CLIENT_SECRET": secrets.token_urlsafe(32),
            "HEADWATER_STORAGE_URL": f"http://127.0.0.1:{self.ports['blobs']}/local",
            "HEADWATER_STORAGE_KEY": base64.b64encode(secrets.token_bytes(64)).decode(),
            "HEADWATER_PUBLIC_URL": self.public,
        }
        self.edges = [free_port(), free_port()]
        self.blobs = self._azurite(azurite) if azurite else self._blobs()
        self.hosts = [self._host(name) for name in ("host-1", "host-2")]
        self.nginx = self._nginx()
        self.transcoders: list[Part] = []
        self.ingests: list[Part] = []
        self.notifiers: list[Part] = []
        self.started: HeadwaterConnection | None = None

    def _blobs(self) -> Part:
        part = self._headwater(
            "blobs", "blobstore", {"HEADWATER_API_URL": self.inside, "HEADWATER_DATA": str(self.folder / "blobs"),
                                   "HEADWATER_BLOB_LISTEN": f"127.0.0.1:{self.ports['blobs']}"},
            port=self.ports["blobs"],
        )  # fmt: skip
        for unwanted in ("HEADWATER_STORAGE_URL", "HEADWATER_CATALOG"):
            part.environment.pop(unwanted)
        if self.bucket:
            keys = {"HEADWATER_S3_ACCESS_KEY": s3.ACCESS_KEY, "HEADWATER_S3_SECRET_KEY": s3.SECRET_KEY}
            part.environment.update({"HEADWATER_S3_URL": self.bucket, "HEADWATER_S3_BUCKET": "bed", **keys})
        return part

    def _azurite(self, program: str) -> Part:
        command = [
            program, "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", str(self.folder / "azurite"),
            "--blobHost", "127.0.0.1", "--blobPort", str(self.ports["blobs"]),
        ]  # fmt: skip
        accounts = {"AZURITE_ACCOUNTS": f"local:{self.common['HEADWATER_STORAGE_KEY']}"}
        return Part("azurite", command, self.folder / "azurite.log", accounts, port=self.ports["blobs"])

    def _headwater(self, name: str, verb: str, environment: dict[str, str], **more) -> Part:
        command = [self.binary, verb, *more.pop("arguments", [])]
        everything = {**self.common, "HEADWATER_LOG": "info", **environment}
        return Part(name, command, self.folder / f"{name}.log", everything, **more)

    def _host(self, name: str) -> Part:
        health = free_port()
        return self._headwater(
            name, "up",
            {
                "HEADWATER_DATA": str(self.folder / name),
                "HEADWATER_LISTEN": f"127.0.0.1:{self.ports[name]}",
                "HEADWATER_METRICS_LISTEN": f"127.0.0.1:{health}",
                "HEADWATER_LIVE_HOSTS": " ".join(f"http://127.0.0.1:{port}" for port in self.edges),
                "HEADWATER_NO_INGEST": "true", "HEADWATER_NO_TRANSCODER": "true", "HEADWATER_NO_NOTIFIER": "true",
            },
            arguments=["--no-demo"], port=self.ports[name], health=health,
        )  # fmt: skip

    def _nginx(self) -> Part:
        text = NGINX.read_text()
        for name, there in (("headwater-1:8080", "host-1"), ("headwater-2:8080", "host-2")):
            assert name in text
            text = text.replace(name, f"127.0.0.1:{self.ports[there]}")
        assert "listen 8000;" in text
        listen = f"listen 127.0.0.1:{self.ports['nginx']};"
        if self.tls:
            key, certificate = self._certificate()
            listen += f" listen 127.0.0.1:{self.ports['nginx-tls']} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};"
        text = text.replace("listen 8000;", listen)
        text = text.replace("/tmp/nginx", f"{self.folder}/nginx")
        if os.geteuid() == 0:
            text = "user root;\n" + text
        config = self.folder / "nginx.conf"
        config.write_text(text)
        command = ["nginx", "-e", "stderr", "-c", str(config), "-g", "daemon off;"]
        return Part("nginx", command, self.folder / "nginx.log", port=self.ports["nginx"])

    def _certificate(self) -> tuple[Path, Path]:
        """Key and certificate of nginx, where the suites look for those of an installation with `--tls`."""
        folder = Path(self.hosts[0].environment["HEADWATER_DATA"]) / "tls"
        folder.mkdir(parents=True)
        key, certificate = folder / "key.pem", folder / "cert.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=bed", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        return key, certificate

    def _worker(self, name: str, verb: str, environment: dict[str, str]) -> Part:
        health = free_port()
        part = self._headwater(
            name, verb,
            {"HEADWATER_API_URL": self.inside, "HEADWATER_TOKEN": self.token,
             "HEADWATER_HEALTH_LISTEN": f"127.0.0.1:{health}", **environment},
            health=health,
        )  # fmt: skip
        # Workers are told nothing of the catalog and of storage.
        for unwanted in self.common:
            part.environment.pop(unwanted, None)
        return part

    def start_hosts(self) -> None:
        """Catalog, store and hosts."""
        for part in (self.postgres, self.blobs):
            part.start()
            part.wait_up()
        # One after the other: the second finds the catalog made.
        for host in self.hosts:
            host.start()
            self._wait_connection(host)

    def start(self) -> HeadwaterConnection:
        self.start_hosts()
        self.nginx.start()
        self.nginx.wait_up()
        data = self.hosts[0].environment["HEADWATER_DATA"]
        self.token = subprocess.run(
            [self.binary, "token", "--role=worker", "--hours=24", f"--data={data}"],
            check=True, capture_output=True, text=True, env={**os.environ, **self.hosts[0].environment},
        ).stdout.strip()  # fmt: skip
        self.transcoders = [
            self._worker(f"transcoder-{n}", "transcoder", {"HEADWATER_THREADS": "1", "HEADWATER_ENGINE": "builtin"}) for n in (1, 2, 3)
        ]
        self.ingests = [
            self._worker(
                f"ingest-{n}", "ingest",
                {
                    "HEADWATER_INGEST_DATA": str(self.folder / f"ingest-{n}"),
                    "HEADWATER_INGEST_HOST": "127.0.0.1",
                    "HEADWATER_RTMP_LISTEN": f"127.0.0.1:{free_port()},127.0.0.1:{free_port()}",
                    "HEADWATER_SRT_LISTEN": "127.0.0.1:0",
                    "HEADWATER_EDGE_LISTEN": f"127.0.0.1:{edge}",
                },
            )
            for n, edge in zip((1, 2), self.edges)
        ]  # fmt: skip
        self.notifiers = [self._worker("notifier", "notifier", {"HEADWATER_EGRESS_ALLOW": "127.0.0.0/8"})]
        for worker in [*self.transcoders, *self.ingests, *self.notifiers]:
            worker.start()
        for worker in [*self.transcoders, *self.ingests, *self.notifiers]:
            worker.port = worker.health
            worker.wait_up(60)
        self.started = HeadwaterConnection(self._told(Path(data) / "connection.json"))
        return self.started

    def _told(self, connection: Path) -> str:
        """A host's `connection.json`, with the certificate that is not the host's own."""
        if not self.tls:
            return str(connection)
        told = connection.with_name("connection-tls.json")
        told.write_text(json.dumps({**json.loads(connection.read_text()), "caFile": str(connection.parent / "tls/cert.pem")}))
        return str(told)

    def _wait_connection(self, host: Part, patience_s: float = 300) -> None:
        path = Path(host.environment["HEADWATER_DATA"]) / "connection.json"
        deadline = time.monotonic() + patience_s
        while not (path.exists() and HeadwaterConnection(str(path)).pid == host.process.pid):
            assert host.process.poll() is None, f"{host.name} ended with {host.process.returncode}:\n{host.tail()}"
            assert time.monotonic() < deadline, f"{host.name} was not ready:\n{host.tail()}"
            time.sleep(0.1)

    def stop(self) -> None:
        for part in [*self.transcoders, *self.ingests, *self.notifiers, self.nginx, *self.hosts, self.blobs, self.postgres]:
            part.stop()
        shutil.rmtree(self.postgres.data, ignore_errors=True)
