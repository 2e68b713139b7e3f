"""People and programs: invited, put into teams, held to less, and shut out again."""

from __future__ import annotations

import base64
import json
import subprocess
import uuid

import pytest
import requests
from azure.identity import ClientSecretCredential
from azure.mgmt.media import AzureMediaServices

from headwater import HeadwaterConnection, Mkio

NIL = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def organization(connection) -> Mkio:
    return Mkio(connection, prefix="/api/v1")


@pytest.fixture
def name() -> str:
    return f"e2e-{uuid.uuid4().hex[:10]}"


def accept(connection: HeadwaterConnection, secret: str, expect: int = 201) -> dict:
    """What somebody does who was sent an invite, with nothing but its secret."""
    answer = requests.post(
        f"{connection.apiUrl}/api/v1/invites/accept", json={"secret": secret}, verify=connection.verify, timeout=30
    )
    assert answer.status_code == expect, answer.text
    return answer.json()


def subject(token: str) -> dict:
    """A token's claims, unchecked."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@pytest.fixture
def colleague(connection, organization: Mkio, name: str):
    """Somebody in a team of their own that may run the project's media."""
    spec = {"scopes": {connection.project: {"roles": ["operator"]}}}
    organization.call("PUT", f"/organization/teams/{name}", {"spec": spec}, (201,))
    invite = organization.call("POST", "/organization/invites", {"spec": {"name": "Kim", "teams": [name]}}, (201,))
    came = accept(connection, invite["metadata"]["secret"])
    yield came["spec"]["user"], came["metadata"]["JWT"]
    organization.call("DELETE", f"/organization/users/{came['spec']['user']}", expect=(200, 204))
    organization.call("DELETE", f"/organization/teams/{name}", expect=(200, 204))


def test_the_installations_own_token_is_its_owners(connection, organization: Mkio):
    profile = organization.call("GET", "/user/profile")
    assert profile["metadata"]["id"] == subject(connection.token)["sub"]
    assert profile["spec"]["activeOrganizationId"] == NIL
    assert profile["metadata"]["id"] in [user["metadata"]["id"] for user in organization.call("GET", "/organization/users")["items"]]


def test_rights_follow_the_team_at_once(connection, organization: Mkio, colleague, name: str):
    _, token = colleague
    theirs = Mkio(connection, token=token)
    theirs.call("PUT", f"/assets/{name}", {"properties": {}})
    Mkio(connection, token=token, prefix="/api/v1").call("GET", "/organization/users", expect=(403,))
    path = f"/spec/scopes/{connection.project}/roles"
    organization.call("PATCH", f"/organization/teams/{name}", [{"op": "replace", "path": path, "value": ["viewer"]}])
    theirs.call("PUT", f"/assets/{name}", {"properties": {}}, (403,))
    theirs.call("GET", f"/assets/{name}")
    organization.call("PATCH", f"/organization/teams/{name}", [{"op": "replace", "path": "/spec/members", "value": {}}])
    theirs.call("GET", f"/assets/{name}", expect=(404,))
    Mkio(connection).call("DELETE", f"/assets/{name}", expect=(200,))


def test_a_user_who_is_gone_is_locked_out(connection, organization: Mkio, colleague):
    user, token = colleague
    theirs = Mkio(connection, token=token)
    theirs.call("GET", "/assets")
    organization.call("DELETE", f"/organization/users/{user}", expect=(200,))
    theirs.call("GET", "/assets", expect=(401,))


def test_the_last_owner_cannot_be_removed(connection, organization: Mkio):
    owners = organization.call("GET", "/organization/teams/owners")
    if len(owners["spec"]["members"]) > 1:
        pytest.skip("this installation has several owners")
    refused = organization.call("DELETE", f"/organization/users/{subject(connection.token)['sub']}", expect=(409,))
    assert "owner" in refused["error"]["detail"]


def test_a_restricted_token_does_what_it_names(connection, organization: Mkio, name: str):
    rbac = organization.call("GET", "/user/rbac")
    project = next(iter(rbac["core.project"]))
    permissions = {"core.project": {project: {"ams.asset": ["create"]}}}
    body = {"type": "restricted", "organizationId": NIL, "permissions": permissions}
    made = organization.call("POST", "/user/tokens", body, (201,))
    program = Mkio(connection, token=made["metadata"]["JWT"])
    program.call("PUT", f"/assets/{name}", {"properties": {}})
    program.call("GET", f"/assets/{name}", expect=(403,))
    organization.call("DELETE", f"/user/tokens/{made['metadata']['id']}", expect=(200,))
    program.call("PUT", f"/assets/{name}", {"properties": {}}, (401,))
    Mkio(connection).call("DELETE", f"/assets/{name}", expect=(200,))


def test_a_client_of_its_own_for_the_azure_sdk(tls_connection: HeadwaterConnection, name: str):
    connection = tls_connection
    clients = Mkio(connection, prefix="/api/v1/organization/clients")
    made = clients.call("PUT", f"/{name}", {"spec": {"role": "viewer", "project": connection.project}}, (201,))
    credential = ClientSecretCredential(
        connection.tenantId, name, made["metadata"]["secret"], authority=connection.armUrl,
        disable_instance_discovery=True, connection_verify=connection.caFile,
    )  # fmt: skip
    client = AzureMediaServices(
        credential, connection.subscriptionId, base_url=connection.armUrl, connection_verify=connection.caFile
    )
    where = (connection.resourceGroup, connection.accountName)
    assert list(client.streaming_endpoints.list(*where))
    clients.call("DELETE", f"/{name}", expect=(200,))
    with pytest.raises(Exception, match="401|not accepted"):
        list(client.streaming_endpoints.list(*where))


def test_keys_are_rotated_and_refused_from_the_command_line(installation):
    connection = installation.start()

    def keys(*arguments: str) -> str:
        command = [installation.binary, "keys", f"--data={installation.data}", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def published() -> list[str]:
        answer = requests.get(f"{connection.apiUrl}/.well-known/jwks.json", timeout=30)
        return [key["kid"] for key in answer.json()["keys"]]

    (first,) = published()
    mine = Mkio(connection, prefix="/api/v1")
    keys("rotate")
    assert first in published()
    mine.call("GET", "/user/profile")
    keys("revoke", first)
    assert published() and first not in published()
    mine.call("GET", "/user/profile", expect=(401,))
    again = subprocess.run(
        [installation.binary, "token", f"--data={installation.data}"], check=True, capture_output=True, text=True
    ).stdout.strip()
    Mkio(connection, token=again, prefix="/api/v1").call("GET", "/user/profile")
    assert "revoked" in keys("list")
    installation.stop()
