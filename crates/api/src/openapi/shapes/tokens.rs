//! Tokens for programs: `resources/tokens.rs`.

use headwater_catalog::tokens::TokenKind;
use serde_json::{Value as Json, json};

use super::common::capabilities;
use crate::openapi::schema::{list, map, one_of, shape, text, time, uuid, written_time};
use crate::openapi::shape::{Shape, accepted, items, optional, record, required, shown, sometimes};

pub(super) fn shapes() -> Vec<Shape> {
    let kinds = TokenKind::ALL.map(TokenKind::name);
    let role = || one_of(&["viewer", "operator", "owner"]);
    let mut shapes = vec![
        items("TokenList", "Token"),
        Shape::request(
            "TokenWrite",
            "A token never has more rights than whoever makes it.",
            vec![
                required("type", one_of(&kinds)),
                accepted("organizationId", uuid().about("That of the profile.")),
                accepted("description", text().at_most(128)),
                accepted(
                    "expireDate",
                    written_time().about(
                        "At most a year ahead, which is also the default; a day for login and ephemeral tokens, which last 12 hours and \
                         one hour.",
                    ),
                ),
                accepted(
                    "permissions",
                    shape("Permissions").about(
                        "What a restricted or ephemeral token is held to, within the caller's own.",
                    ),
                ),
                accepted(
                    "roles",
                    list(role()).at_least(1).about("The caller's own by default."),
                ),
                accepted(
                    "project",
                    text().about("The one project it reaches; what the caller reaches by default."),
                ),
            ],
        ),
    ];
    shapes.push(Shape::same(
        "Permissions",
        "As `GET /api/v1/user/rbac` shows them.",
        vec![
            optional(
                "core.organization",
                map(capabilities()).about("By the organization's id."),
            ),
            optional("core.project", map(capabilities()).about("By project id.")),
        ],
    ));
    shapes.extend(record(
        "Token",
        "",
        [
            vec![
                shown("id", text()),
                shown("type", one_of(&kinds)),
                sometimes(
                    "JWT",
                    text().about("Shown once, in the answer that made it."),
                ),
            ],
            vec![
                shown("description", text().or_null()),
                shown("issued", time()),
                shown("expires", time()),
                shown("revoked", time().or_null()),
                shown("revokedBy", text().or_null()),
                shown("organizationId", uuid()),
                shown("user", text()),
                shown("roles", list(role()).or_null()),
                shown("permissions", shape("Permissions").or_null()),
                shown("project", text().or_null()),
            ],
            vec![],
        ],
    ));
    shapes
}

pub(in crate::openapi) fn restricted_example() -> Json {
    json!({
        "type": "restricted",
        "description": "Uploads only",
        "permissions": {"core.organization": {"00000000-0000-0000-0000-000000000000": {"User": ["read"]}}},
    })
}

pub(in crate::openapi) fn example() -> Json {
    json!({
        "type": "full-access",
        "organizationId": "00000000-0000-0000-0000-000000000000",
        "description": "The web site",
        "roles": ["viewer"],
        "project": "default",
    })
}
