"""Who gets a key: token restrictions of every kind that the SDK can say, with tokens that somebody else's library makes, asked of the
key delivery that is running."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import time
import uuid
from dataclasses import dataclass
from urllib.parse import quote

import jwt
import pytest
from azure.mgmt.media.models import (
    ContentKeyPolicy,
    ContentKeyPolicyClearKeyConfiguration,
    ContentKeyPolicyOption,
    ContentKeyPolicyRsaTokenKey,
    ContentKeyPolicySymmetricTokenKey,
    ContentKeyPolicyTokenClaim,
    ContentKeyPolicyTokenRestriction,
    ContentKeyPolicyX509CertificateTokenKey,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from test_protection import AUDIENCE, ISSUER, SECRET, key_policy, protect

CONTENT_KEY_IDENTIFIER = "urn:microsoft:azure:mediaservices:contentkeyidentifier"
MAX_USES = "urn:microsoft:azure:mediaservices:maxuses"


@dataclass
class Guarded:
    """A key behind a restriction."""

    policy: str
    url: str
    kid: str
    value: bytes


@pytest.fixture(scope="module")
def film(account) -> str:
    return account.new_asset("guarded")


@pytest.fixture
def guard(account, film):
    def put(key, kind: str = "Jwt", alternate=(), claims=()) -> Guarded:
        restriction = ContentKeyPolicyTokenRestriction(
            issuer=ISSUER,
            audience=AUDIENCE,
            restriction_token_type=kind,
            primary_verification_key=key,
            alternate_verification_keys=list(alternate),
            required_claims=[ContentKeyPolicyTokenClaim(claim_type=name, claim_value=value) for name, value in claims],
        )
        name, policy = account.name("loc"), key_policy(account, restriction)
        protect(account, film, "Predefined_ClearKey", policy, name)
        (made,) = account.client.streaming_locators.list_content_keys(*account.where, name).content_keys
        return Guarded(policy, f"{account.connection.keysUrl}/?kid={made.id}", str(made.id), base64.b64decode(made.value))

    return put


def claims(**more) -> dict:
    return {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600, **more}


def ask(http, guarded: Guarded, token: str | None) -> int:
    """The status. With 200 it has to be the key, without it nothing of it may be there."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = http.get(guarded.url, headers=headers, timeout=30)
    assert (answer.content == guarded.value) == (answer.status_code == 200)
    assert answer.status_code == 200 or guarded.value not in answer.content
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code


def pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture(scope="module")
def pair() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def numbers(key: rsa.RSAPrivateKey) -> ContentKeyPolicyRsaTokenKey:
    public = key.public_key().public_numbers()
    return ContentKeyPolicyRsaTokenKey(exponent=public.e.to_bytes(3, "big"), modulus=public.n.to_bytes(256, "big"))


@pytest.mark.parametrize("how", ["rsa", "x509"])
def test_rsa_signatures(http, guard, pair, how):
    key = numbers(pair) if how == "rsa" else ContentKeyPolicyX509CertificateTokenKey(raw_body=certificate(pair))
    guarded = guard(key)
    assert ask(http, guarded, jwt.encode(claims(), pem(pair), "RS256")) == 200
    assert ask(http, guarded, None) == 401
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert ask(http, guarded, jwt.encode(claims(), pem(other), "RS256")) == 401
    # The public key is no secret that a token can be made with, which the library itself would not do.
    text = jwt.encode(claims(), SECRET, "HS256").rpartition(".")[0]
    made = hmac.new(key.modulus if how == "rsa" else key.raw_body, text.encode(), hashlib.sha256).digest()
    assert ask(http, guarded, f"{text}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}") == 401
    assert ask(http, guarded, jwt.encode(claims(), None, "none")) == 401
    assert ask(http, guarded, jwt.encode(claims(exp=int(time.time()) - 3600), pem(pair), "RS256")) == 401


def test_simple_web_tokens(http, guard):
    guarded = guard(ContentKeyPolicySymmetricTokenKey(key_value=SECRET), kind="Swt")

    def swt(secret: bytes = SECRET, **more) -> str:
        pairs = {"Issuer": ISSUER, "Audience": AUDIENCE, "ExpiresOn": int(time.time()) + 600, **more}
        text = "&".join(f"{quote(name, safe='')}={quote(str(value), safe='')}" for name, value in pairs.items())
        made = base64.b64encode(hmac.new(secret, text.encode(), hashlib.sha256).digest()).decode()
        return f"{text}&HMACSHA256={quote(made, safe='')}"

    assert ask(http, guarded, swt()) == 200
    assert ask(http, guarded, swt(secret=bytes(32))) == 401
    assert ask(http, guarded, swt(Audience="others")) == 401
    assert ask(http, guarded, swt(ExpiresOn=1_700_000_000)) == 401
    assert ask(http, guarded, f"{swt()}&Audience=others") == 401
    # A token of the other kind is none here, whoever signed it.
    assert ask(http, guarded, jwt.encode(claims(), SECRET, "HS256")) == 401


def test_alternate_keys_of_several_kinds(http, guard, pair):
    second = b"another secret of thirty-two bytes, or more"
    guarded = guard(
        ContentKeyPolicySymmetricTokenKey(key_value=SECRET),
        alternate=[ContentKeyPolicySymmetricTokenKey(key_value=second), numbers(pair)],
    )
    for token in (
        jwt.encode(claims(), SECRET, "HS256"),
        jwt.encode(claims(), second, "HS256"),
        jwt.encode(claims(), pem(pair), "RS256"),
    ):
        assert ask(http, guarded, token) == 200
    assert ask(http, guarded, jwt.encode(claims(), second[::-1], "HS256")) == 401


def test_claims_that_are_required(http, guard):
    key = ContentKeyPolicySymmetricTokenKey(key_value=SECRET)
    guarded = guard(key, claims=[("tier", "gold"), ("team", None), (CONTENT_KEY_IDENTIFIER, None)])
    good = {"tier": "gold", "team": "any", CONTENT_KEY_IDENTIFIER: guarded.kid}
    assert ask(http, guarded, jwt.encode(claims(**good), SECRET, "HS256")) == 200
    for name, value in [
        ("tier", "silver"),
        ("tier", None),
        ("team", None),
        (CONTENT_KEY_IDENTIFIER, None),
        (CONTENT_KEY_IDENTIFIER, str(uuid.uuid4())),
    ]:
        bad = {n: v for n, v in {**good, name: value}.items() if v is not None}
        assert ask(http, guarded, jwt.encode(claims(**bad), SECRET, "HS256")) == 403, (name, value)


def test_a_token_that_counts_its_uses(http, guard):
    guarded = guard(ContentKeyPolicySymmetricTokenKey(key_value=SECRET))
    token = jwt.encode(claims(**{MAX_USES: 3}), SECRET, "HS256")
    assert [ask(http, guarded, token) for _ in range(5)] == [200, 200, 200, 403, 403]
    # Another token has uses of its own.
    assert ask(http, guarded, jwt.encode(claims(**{MAX_USES: 1, "jti": "another"}), SECRET, "HS256")) == 200


def test_a_policy_that_is_replaced_counts_at_once(http, account, guard):
    guarded = guard(ContentKeyPolicySymmetricTokenKey(key_value=SECRET))
    another = SECRET[::-1]
    before, after = (jwt.encode(claims(), secret, "HS256") for secret in (SECRET, another))
    # As often as there may be instances that know the policy.
    assert {ask(http, guarded, before) for _ in range(30)} == {200}
    policy = account.client.content_key_policies.get_policy_properties_with_secrets(*account.where, guarded.policy)
    restriction = policy.options[0].restriction
    restriction.primary_verification_key = ContentKeyPolicySymmetricTokenKey(key_value=another)
    option = ContentKeyPolicyOption(configuration=ContentKeyPolicyClearKeyConfiguration(), restriction=restriction)
    account.client.content_key_policies.create_or_update(*account.where, guarded.policy, ContentKeyPolicy(options=[option]))
    assert {ask(http, guarded, before) for _ in range(30)} == {401}
    assert {ask(http, guarded, after) for _ in range(30)} == {200}
