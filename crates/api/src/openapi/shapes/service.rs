//! Readiness, keys and tokens: `resources/service.rs`.

use super::common::{foreign, strings};
use crate::openapi::schema::{list, map, one_of, shape, text, url, whole};
use crate::openapi::shape::{Shape, accepted, items, required, shown};

pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::answer("Readiness", "", vec![shown("status", one_of(&["ready"]))]),
        Shape::answer(
            "JsonWebKeySet",
            "The keys that tokens are signed with (RFC 7517).",
            vec![shown("keys", list(shape("JsonWebKey")))],
        ),
        Shape::answer(
            "JsonWebKey",
            "",
            vec![
                shown("kty", text()),
                shown("crv", text()),
                shown("alg", text()),
                shown("use", text()),
                shown("kid", text()),
                shown("x", text()),
            ],
        ),
        Shape::answer(
            "RevokedTokens",
            "",
            vec![shown("revoked", strings().about("The `jti` of each token."))],
        ),
        Shape::answer(
            "OpenIdConfiguration",
            "What the clients of Azure ask for first (OpenID Connect Discovery 1.0).",
            vec![
                shown("issuer", text()),
                shown("token_endpoint", url()),
                shown("authorization_endpoint", url()),
                shown("jwks_uri", url()),
                shown("token_endpoint_auth_methods_supported", strings()),
                shown("grant_types_supported", strings()),
                shown("response_types_supported", strings()),
                shown("subject_types_supported", strings()),
                shown("id_token_signing_alg_values_supported", strings()),
            ],
        ),
        Shape::request(
            "TokenRequest",
            "Client credentials (RFC 6749, 4.4). The client may also use HTTP Basic authentication.",
            vec![
                required("grant_type", one_of(&["client_credentials"])),
                accepted("client_id", text()),
                accepted("client_secret", text()),
                accepted("scope", text().about("Not looked at: a client has one role.")),
            ],
        )
        .open(),
        Shape::answer(
            "IssuedToken",
            "",
            vec![
                shown("token_type", one_of(&["Bearer"])),
                shown("expires_in", whole().about("In seconds.")),
                shown("ext_expires_in", whole()),
                shown("access_token", text()),
            ],
        ),
        Shape::answer(
            "OAuthError",
            "RFC 6749, 5.2.",
            vec![
                shown(
                    "error",
                    one_of(&["invalid_request", "invalid_client", "unsupported_grant_type"]),
                ),
                shown("error_description", text()),
            ],
        ),
        items("SignInProviderList", "SignInProvider"),
        Shape::answer(
            "SignInProvider",
            "An authority at which people sign in (OpenID Connect Core 1.0, 3.1). Nothing in it is secret.",
            vec![
                shown("name", text().about("What people call it.")),
                shown("issuer", text()),
                shown("discoveryUrl", url().about("Its discovery document: endpoints and abilities.")),
                shown("clientId", text()),
                shown("scopes", text().about("To ask for, separated by spaces.")),
                shown(
                    "parameters",
                    map(text()).about("To be sent along to the authorization and token endpoints."),
                ),
                shown(
                    "bearer",
                    one_of(&["accessToken", "idToken"]).about("Which of its tokens this API takes."),
                ),
            ],
        ),
        Shape::answer(
            "OpenApiDocument",
            "This document.",
            vec![
                shown("openapi", text()),
                shown("info", foreign()),
                shown("servers", list(foreign())),
                shown("tags", list(foreign())),
                shown("paths", foreign()),
                shown("components", foreign()),
            ],
        ),
    ]
}
