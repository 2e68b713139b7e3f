//! Who may do what: `resources/{users, invites, teams, team_spec, roles, clients, signing_keys}.rs`.

use serde_json::{Value as Json, json};

use super::common::{capabilities, identity, strings, written};
use crate::openapi::schema::{
    Schema, flag, list, map, one_of, shape, text, time, uuid, written_time,
};
use crate::openapi::shape::{
    Member, Shape, accepted, dates, items, optional, record, required, shown, sometimes,
};
use crate::resources::users::DETAILS;

pub(super) fn shapes() -> Vec<Shape> {
    let mut shapes = users();
    shapes.extend(invites());
    shapes.extend(teams());
    shapes.extend(roles());
    shapes.extend(clients());
    shapes.extend(signing_keys());
    shapes
}

fn mail() -> Schema {
    text().at_most(254).about("A mail address.")
}

/// Shown once, in the answer that made it.
fn secret() -> Member {
    sometimes(
        "secret",
        text().about("Shown once, in the answer that made it."),
    )
}

fn users() -> Vec<Shape> {
    let [created, updated] = dates();
    let mut metadata = identity();
    metadata.extend([created, updated]);
    let mut spec = vec![
        shown("activeOrganizationId", uuid()),
        shown("name", text()),
        shown("loginEmail", text().or_null()),
        shown("isActive", flag()),
    ];
    spec.extend(DETAILS.map(|(name, _)| shown(name, text().or_null())));
    let mut changes = vec![
        accepted("activeOrganizationId", uuid()),
        accepted("name", text()),
        accepted("loginEmail", mail()),
        accepted(
            "isActive",
            flag().about("Who is not active cannot sign in: also not to change this."),
        ),
    ];
    changes.extend(DETAILS.map(|(name, most)| accepted(name, text().at_most(most as u64))));
    let mut own = vec![
        shown("activeOrganizationId", uuid()),
        shown("name", text()),
        shown("isActive", flag()),
        sometimes("loginEmail", text().or_null()),
    ];
    own.extend(DETAILS.map(|(name, _)| sometimes(name, text().or_null())));
    vec![
        items("UserList", "User"),
        Shape::answer(
            "User",
            "Somebody who may sign in.",
            vec![
                shown("metadata", shape("UserMetadata")),
                shown("spec", shape("UserSpec")),
                sometimes("status", shape("UserStatus").about("Not in lists.")),
            ],
        ),
        Shape::answer("UserMetadata", "", metadata),
        Shape::answer("UserSpec", "", spec),
        Shape::answer("UserStatus", "", vec![shown("teams", memberships())]),
        Shape::same(
            "TeamMember",
            "",
            vec![optional(
                "isTeamAdmin",
                flag()
                    .with("default", false)
                    .about("Whether they may change who is a member."),
            )],
        ),
        Shape::answer(
            "Profile",
            "Who the token belongs to: a user, or a program.",
            vec![
                shown("metadata", shape("ProfileMetadata")),
                shown("spec", shape("ProfileSpec")),
                shown("status", shape("ProfileStatus")),
            ],
        ),
        Shape::answer(
            "ProfileMetadata",
            "",
            vec![
                shown("id", text()),
                sometimes("name", text()),
                sometimes("created", time()),
                sometimes("updated", time()),
            ],
        ),
        Shape::answer("ProfileSpec", "", own),
        Shape::answer(
            "ProfileStatus",
            "What the token is held to, whatever its subject may do besides.",
            vec![
                sometimes("teams", memberships()),
                shown(
                    "roles",
                    list(one_of(&["viewer", "operator", "owner", "worker"])).or_null(),
                ),
                shown("project", text().or_null()),
                shown(
                    "issuer",
                    text()
                        .or_null()
                        .about("The other authority that the token is of."),
                ),
            ],
        ),
        written(
            "ProfileUpdate",
            required("spec", shape("ProfileUpdateSpec")),
            &["metadata", "status"],
        ),
        Shape::request(
            "ProfileUpdateSpec",
            "What is left out stays as it is.",
            changes,
        ),
    ]
}

/// By team or by user.
fn memberships() -> Schema {
    map(shape("TeamMember"))
}

fn invites() -> Vec<Shape> {
    let mut shapes = vec![
        items("InviteList", "Invite"),
        written(
            "InviteWrite",
            required("spec", shape("InviteWriteSpec")),
            &[],
        ),
        Shape::request(
            "InviteWriteSpec",
            "",
            vec![
                accepted("userId", text().about("Somebody who is a user already.")),
                accepted("name", text()),
                accepted("loginEmail", mail()),
                accepted("teams", strings().about("What they become a member of.")),
                accepted(
                    "expires",
                    written_time().about("At most 30 days ahead; a week by default."),
                ),
            ],
        ),
        Shape::request(
            "InviteAnswer",
            "",
            vec![
                required("secret", text()),
                accepted(
                    "name",
                    text().about("What the user is to be called, unless the invite says so."),
                ),
                accepted("loginEmail", mail()),
            ],
        ),
    ];
    shapes.extend(record(
        "Invite",
        "A secret that makes whoever has it a user.",
        [
            vec![shown("id", text()), shown("created", time()), secret()],
            vec![
                shown("userId", text().or_null()),
                shown("name", text().or_null()),
                shown("loginEmail", text().or_null()),
                shown("teams", strings()),
                shown("expires", time()),
            ],
            vec![
                shown(
                    "state",
                    one_of(&["Pending", "Accepted", "Declined", "Expired"]),
                ),
                shown("invitedBy", text()),
                shown("accepted", time().or_null()),
                shown("acceptedBy", text().or_null()),
                shown("declined", time().or_null()),
            ],
        ],
    ));
    shapes
}

fn teams() -> Vec<Shape> {
    let [created, updated] = dates();
    let mut metadata = identity();
    metadata.extend([created, updated]);
    let members = || memberships().about("By the user's id.");
    let scopes =
        || map(shape("TeamRoles")).about("By the scope's name: the organization, or a project.");
    let mut shapes = vec![
        items("TeamList", "Team"),
        written(
            "TeamWrite",
            required("spec", shape("TeamWriteSpec")),
            &["metadata"],
        ),
        Shape::request(
            "TeamWriteSpec",
            "",
            vec![
                accepted("description", text()),
                accepted("members", members()),
                accepted("scopes", scopes()),
            ],
        ),
        Shape::same(
            "TeamRoles",
            "",
            vec![required("roles", strings().at_least(1))],
        ),
        Shape::request(
            "PatchOperation",
            "One change of what GET shows, of its `spec` (RFC 6902).",
            vec![
                required("op", one_of(&["add", "remove", "replace", "move", "test"])),
                required("path", text().about("A JSON pointer (RFC 6901).")),
                accepted("value", crate::openapi::schema::anything()),
                accepted("from", text()),
            ],
        )
        .open(),
    ];
    shapes.extend(record(
        "Team",
        "Users with rights in common.",
        [
            metadata,
            vec![
                shown("description", text().or_null()),
                shown("members", members()),
                shown("scopes", scopes()),
            ],
            vec![],
        ],
    ));
    shapes
}

fn roles() -> Vec<Shape> {
    let mut metadata = identity();
    metadata.extend([
        shown("builtIn", flag()),
        sometimes("created", time()),
        sometimes("updated", time()),
    ]);
    let mut shapes = vec![
        items("RoleList", "Role"),
        written(
            "RoleWrite",
            required("spec", shape("RoleWriteSpec")),
            &["metadata"],
        ),
        Shape::request(
            "RoleWriteSpec",
            "",
            vec![
                accepted("description", text()),
                required("capabilities", capabilities()),
            ],
        ),
    ];
    shapes.extend(record(
        "Role",
        "",
        [
            metadata,
            vec![
                shown("description", text().or_null()),
                shown("capabilities", capabilities()),
            ],
            vec![],
        ],
    ));
    shapes
}

fn clients() -> Vec<Shape> {
    let [created, updated] = dates();
    let mut shapes = vec![
        items("ClientList", "Client"),
        written(
            "ClientWrite",
            required("spec", shape("ClientWriteSpec")),
            &["metadata"],
        ),
        Shape::request(
            "ClientWriteSpec",
            "",
            vec![
                accepted("description", text()),
                required("role", text()),
                accepted(
                    "project",
                    text().about("The one project it reaches; all of them by default."),
                ),
            ],
        ),
    ];
    shapes.extend(record(
        "Client",
        "A program that signs in with an id and a secret.",
        [
            vec![shown("id", text()), created, updated, secret()],
            vec![
                shown("description", text().or_null()),
                shown("role", text()),
                shown("project", text().or_null()),
            ],
            vec![],
        ],
    ));
    shapes
}

fn signing_keys() -> Vec<Shape> {
    let mut shapes = vec![items("SigningKeyList", "SigningKey")];
    shapes.extend(record(
        "SigningKey",
        "What tokens are signed with.",
        [
            vec![shown("id", text()), shown("created", time())],
            vec![shown("algorithm", one_of(&["EdDSA"]))],
            vec![
                shown(
                    "state",
                    one_of(&["Signing", "Verifying", "Expired", "Revoked"]),
                ),
                shown("retired", time().or_null()),
                shown("verifiesUntil", time().or_null()),
                shown("revoked", time().or_null()),
            ],
        ],
    ));
    shapes
}

pub(in crate::openapi) fn profile_example() -> Json {
    json!({"spec": {
        "name": "Ada",
        "contactEmail": "ada@films.example",
        "company": "Films",
        "isActive": true,
    }})
}

pub(in crate::openapi) fn invite_example() -> Json {
    json!({"spec": {"name": "Grace", "loginEmail": "grace@films.example", "teams": []}})
}

pub(in crate::openapi) fn accept_example() -> Json {
    json!({"secret": "what the invite's answer showed", "name": "Grace"})
}

pub(in crate::openapi) fn team_example() -> Json {
    json!({"spec": {
        "description": "Who cuts the films",
        "members": {},
        "scopes": {"default": {"roles": ["operator"]}},
    }})
}

pub(in crate::openapi) fn team_update_example() -> Json {
    json!([{"op": "replace", "path": "/spec/description", "value": "Who cuts and grades the films"}])
}

pub(in crate::openapi) fn role_example() -> Json {
    json!({"spec": {
        "description": "Uploads, and nothing else",
        "capabilities": {"Asset": ["read", "write", "reveal"]},
    }})
}

pub(in crate::openapi) fn client_example() -> Json {
    json!({"spec": {"description": "The ingest script", "role": "operator", "project": "default"}})
}
