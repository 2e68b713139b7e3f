//! People as the tests meet them: invited, in teams, with tokens of their own.

use serde_json::{Value as Json, json};

use super::{Got, World};

pub(crate) const TEAMS: &str = "/api/v1/organization/teams";
pub(crate) const USERS: &str = "/api/v1/organization/users";
pub(crate) const ROLES: &str = "/api/v1/organization/roles";
pub(crate) const INVITES: &str = "/api/v1/organization/invites";
pub(crate) const CLIENTS: &str = "/api/v1/organization/clients";
pub(crate) const KEYS: &str = "/api/v1/organization/signingKeys";
pub(crate) const OWN_TOKENS: &str = "/api/v1/user/tokens";
pub(crate) const NIL: &str = "00000000-0000-0000-0000-000000000000";

pub(crate) fn text(json: &Json) -> String {
    json.as_str().expect("a string").to_owned()
}

pub(crate) fn field(got: &Got) -> &str {
    got.body["error"]["extraDetail"]["field"]
        .as_str()
        .unwrap_or_default()
}

/// Accepts an invite; the answer.
pub(crate) fn accept(world: &World, body: Json) -> Got {
    let request = http::Request::post("/api/v1/invites/accept")
        .body(body.to_string().into())
        .unwrap();
    world.send(request)
}

/// Somebody new in these teams: id and login token.
pub(crate) fn join(world: &World, teams: &[&str]) -> (String, String) {
    let invite = json!({"spec": {"name": "new", "teams": teams}});
    let made = world.post(INVITES, invite).expect(201).body;
    let came = accept(world, json!({"secret": made["metadata"]["secret"]}))
        .expect(201)
        .body;
    (text(&came["spec"]["user"]), text(&came["metadata"]["JWT"]))
}

/// A team with one role over one scope.
pub(crate) fn team(world: &World, name: &str, scope: &str, role: &str) {
    let spec = json!({"spec": {"scopes": {scope: {"roles": [role]}}}});
    world.put(&format!("{TEAMS}/{name}"), spec).expect(201);
}
