"""Makes foreign.json with PyJWT and cryptography: an authority's key set, and tokens signed with its keys.

    pip install pyjwt[crypto] && python make.py > foreign.json

The private keys are thrown away.
"""

import json

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

KEYS = {
    "RS256": (rsa.generate_private_key(public_exponent=65537, key_size=2048), RSAAlgorithm),
    "ES256": (ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm),
}
CLAIMS = {
    "iss": "https://login.example/t/v2.0",
    "aud": "api://headwater",
    "sub": "somebody",
    "nbf": 1_767_225_600,
    "exp": 1_767_229_200,
    "roles": ["Media.Reader", "Unheard.Of"],
}

keys, tokens = [], {}
for algorithm, (private, kind) in KEYS.items():
    public = kind.to_jwk(private.public_key(), as_dict=True) | {"kid": algorithm, "use": "sig"}
    keys.append(public)
    tokens[algorithm] = jwt.encode(CLAIMS, private, algorithm, {"kid": algorithm})
rsa_key = KEYS["RS256"][0]
# What must be refused: another algorithm of the same family, a key for encryption, a public key taken for a secret.
tokens["PS256"] = jwt.encode(CLAIMS, rsa_key, "PS256", {"kid": "RS256"})
tokens["encryption"] = jwt.encode(CLAIMS, rsa_key, "RS256", {"kid": "encryption"})
keys.append(keys[0] | {"kid": "encryption", "use": "enc"})
tokens["HS256"] = jwt.encode(CLAIMS, keys[0]["n"], "HS256", {"kid": "RS256"})
tokens["audience"] = jwt.encode(CLAIMS | {"aud": "api://other"}, rsa_key, "RS256", {"kid": "RS256"})
tokens["issuer"] = jwt.encode(CLAIMS | {"iss": "https://evil.example"}, rsa_key, "RS256", {"kid": "RS256"})
tokens["unknown"] = jwt.encode(CLAIMS, rsa_key, "RS256", {"kid": "new"})
# And a key of a kind that nobody has heard of, which must not spoil the set.
keys.append({"kty": "LATTICE", "kid": "later", "alg": "ML-DSA-99", "pub": "AAAA"})
print(json.dumps({"jwks": {"keys": keys}, "tokens": tokens}, indent=1))
