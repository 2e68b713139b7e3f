"""Makes tokens.json with PyJWT and cryptography: `python make.py > tokens.json`. The keys are for tests and nothing else."""

import base64
import datetime
import hashlib
import hmac
import json
import urllib.parse

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

KID = "00112233-4455-6677-8899-aabbccddeeff"
IDENTIFIER = "urn:microsoft:azure:mediaservices:contentkeyidentifier"
CLAIMS = {
    "iss": "https://issuer.example", "aud": "urn:test", "exp": 1800003600, "nbf": 1800000000, IDENTIFIER: KID,
}  # fmt: skip


def pem(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def jwk(key, kid):
    maker = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPublicKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(maker.to_jwk(key)), "kid": kid, "use": "sig"}


def certificate(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(4711).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=365))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def swt(secret):
    pairs = {
        "Issuer": CLAIMS["iss"], "Audience": CLAIMS["aud"], "ExpiresOn": str(CLAIMS["exp"]), IDENTIFIER: KID,
    }  # fmt: skip
    body = urllib.parse.urlencode(pairs)
    signature = base64.b64encode(hmac.new(secret, body.encode(), hashlib.sha256).digest()).decode()
    return f"{body}&HMACSHA256={urllib.parse.quote_plus(signature)}"


def main():
    secret = bytes(range(64))
    rsa_key = rsa.generate_private_key(65537, 2048)
    other = rsa.generate_private_key(65537, 2048)
    ec_key = ec.generate_private_key(ec.SECP256R1())
    numbers = rsa_key.public_key().public_numbers()
    encode = lambda number: base64.b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode()  # noqa: E731
    tokens = {name: jwt.encode(CLAIMS, secret, name) for name in ("HS256", "HS384", "HS512")}
    tokens |= {name: jwt.encode(CLAIMS, rsa_key, name, headers={"kid": "r"}) for name in ("RS256", "RS512", "PS256")}
    tokens |= {"ES256": jwt.encode(CLAIMS, ec_key, "ES256", headers={"kid": "e"}), "SWT": swt(secret)}
    print(json.dumps({
        "secret": base64.b64encode(secret).decode(),
        "modulus": encode(numbers.n), "exponent": encode(numbers.e),
        "certificate": base64.b64encode(certificate(rsa_key)).decode(),
        "rsa_private": pem(rsa_key), "other_private": pem(other), "ec_private": pem(ec_key),
        "rsa_public": rsa_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
        "jwks": {"keys": [jwk(rsa_key.public_key(), "r"), jwk(ec_key.public_key(), "e")]},
        "other_jwk": jwk(other.public_key(), "r"),
        "tokens": tokens,
    }, indent=1))  # fmt: skip


main()
