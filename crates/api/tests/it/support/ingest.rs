//! An ingest worker that does what the test says.

use headwater_auth::Role;
use serde_json::{Value as Json, json};

use super::{Got, World};

/// A worker that holds one live event for 30 seconds at a time.
pub(crate) struct Ingest<'w> {
    world: &'w World,
    lease: String,
    event: String,
    /// What is wanted of it, as it was last told.
    pub(crate) told: Json,
}

impl<'w> Ingest<'w> {
    /// Takes the event that waits; there must be one.
    pub(crate) fn claim(world: &'w World) -> Self {
        let claim = Self::try_claim(world).expect(200).body;
        assert_eq!(claim["leaseSeconds"], 30);
        Self {
            world,
            lease: claim["lease"].as_str().unwrap().to_owned(),
            event: claim["assignment"]["eventId"].as_str().unwrap().to_owned(),
            told: claim["assignment"].clone(),
        }
    }

    pub(crate) fn try_claim(world: &World) -> Got {
        let body = json!({"worker": "w", "leaseSeconds": 30}).to_string();
        world.as_role(Role::Worker, "POST", "/internal/v1/liveEvents/claim", &body)
    }

    /// A call about the event, under its lease.
    pub(crate) fn call(&self, verb: &str, mut body: Json) -> Got {
        body["lease"] = self.lease.clone().into();
        let path = format!("/internal/v1/liveEvents/{}/{verb}", self.event);
        self.world
            .as_role(Role::Worker, "POST", &path, &body.to_string())
    }

    /// Says what it does of what it was told last, and hears what is wanted.
    pub(crate) fn renew(&mut self, state: &str, outputs: Json) -> Got {
        let token = self.told["input"]["accessToken"].as_str().unwrap();
        let locator = self.told["preview"]["locator"].as_str().unwrap();
        let endpoints = match state {
            "running" => json!({
                "input": [{"protocol": "RTMP", "url": format!("rtmp://localhost:1935/live/{token}")}],
                "preview": [{
                    "protocol": "FragmentedMP4",
                    "url": format!("http://localhost:8080/{locator}/preview.ism/manifest"),
                }],
            }),
            _ => json!({}),
        };
        let got = self.call(
            "renew",
            json!({
                "state": state, "generation": self.told["generation"], "endpoints": endpoints, "outputs": outputs,
            }),
        );
        if got.status == 200 {
            self.told = got.body.clone();
        }
        got
    }

    /// Takes encoders in.
    pub(crate) fn runs(&mut self) {
        self.renew("running", json!([])).expect(200);
    }

    /// What it is told of one output, now.
    pub(crate) fn output(&mut self, name: &str) -> Json {
        self.renew("running", json!([])).expect(200);
        let outputs = self.told["outputs"].as_array().unwrap();
        outputs
            .iter()
            .find(|output| output["name"] == name)
            .unwrap_or_else(|| panic!("nothing about {name}: {outputs:?}"))
            .clone()
    }

    pub(crate) fn release(&self, failure: Json) -> Got {
        self.call("release", json!({ "failure": failure }))
    }
}
