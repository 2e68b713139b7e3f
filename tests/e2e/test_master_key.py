"""`headwater master-key`: the key is replaced when that is safe, and refused when it is not, with nothing changed."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess

import pytest

from headwater import Mkio


def master_key(installation, action: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_MASTER_KEY")}
    return subprocess.run(
        [installation.binary, "master-key", action, f"--data={installation.data}", *arguments],
        capture_output=True, text=True, env={**clean, **environment}, timeout=120,
    )  # fmt: skip


def kept(installation) -> str:
    return json.loads((installation.data / "secrets.json").read_text())["masterKey"]


NAME = "rotated"


def sealed(connection) -> str:
    """Makes something whose secret is sealed."""
    Mkio(connection).call(
        "PUT",
        f"/contentKeyPolicies/{NAME}",
        {"properties": {"options": [{
            "configuration": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"},
            "restriction": {
                "@odata.type": "#Microsoft.Media.ContentKeyPolicyTokenRestriction",
                "issuer": "i", "audience": "a", "restrictionTokenType": "Jwt",
                "primaryVerificationKey": {
                    "@odata.type": "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey",
                    "keyValue": base64.b64encode(b"a secret of thirty-two bytes or more").decode(),
                },
            },
        }]}},
    )  # fmt: skip
    return opened(connection)


def opened(connection) -> str:
    policy = Mkio(connection).call("POST", f"/contentKeyPolicies/{NAME}/getPolicyPropertiesWithSecrets")
    options = policy.get("properties", policy)["options"]
    return options[0]["restriction"]["primaryVerificationKey"]["keyValue"]


def test_a_stopped_installation_gets_a_new_key_and_keeps_its_secrets(installation):
    connection = installation.start()
    secret = sealed(connection)
    before = kept(installation)
    running = master_key(installation, "rotate")
    assert running.returncode != 0 and kept(installation) == before, "it runs"
    installation.stop()
    done = master_key(installation, "rotate")
    assert done.returncode == 0, done.stderr
    assert "under the new master key" in done.stdout
    after = kept(installation)
    assert after != before and len(after.split()) == 1
    for output in (running.stdout, running.stderr, done.stdout, done.stderr):
        assert before not in output and after not in output
    assert opened(installation.start()) == secret
    installation.stop()


def test_a_key_from_outside_is_not_replaced_here(installation, tmp_path):
    ours, newer = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
    file = tmp_path / "master-key"
    file.write_text(ours)
    given = f"--master-key-file={file}"
    connection = installation.start(given)
    secret = sealed(connection)
    installation.stop()
    for arguments, environment in [
        ([given], {}),
        ([f"--master-key-command=cat {file}"], {}),
        ([], {"HEADWATER_MASTER_KEY": ours}),
    ]:
        refused = master_key(installation, "rotate", *arguments, **environment)
        assert refused.returncode != 0, arguments
        assert "master-key reseal" in refused.stderr, "it says what to do instead"
        assert ours not in refused.stderr + refused.stdout
    # Somebody who does not say where the key is: one made here would open nothing.
    forgotten = master_key(installation, "rotate")
    assert forgotten.returncode != 0 and "no master key" in forgotten.stderr
    assert kept(installation) == "" and file.read_text() == ours
    # What is to be done instead.
    file.write_text(f"{newer}\n{ours}\n")
    resealed = master_key(installation, "reseal", given)
    assert resealed.returncode == 0, resealed.stderr
    file.write_text(newer)
    assert opened(installation.start(given)) == secret
    installation.stop()


@pytest.mark.parametrize("action", ["rotate", "reseal"])
def test_where_there_is_no_installation_none_is_made(installation, action: str):
    refused = master_key(installation, action)
    assert refused.returncode != 0
    assert not (installation.data / "secrets.json").exists()
