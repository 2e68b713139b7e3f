//! What a job reads: as it was asked for, as it is kept, and as a worker gets it.

use headwater_work::Selection;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::queue::ClaimedInput;
use super::{JobError, queue};
use crate::error::CatalogError;
use crate::ids::ProjectId;
use crate::sql::Sql;

/// What a job reads.
#[derive(Debug, Clone, PartialEq)]
pub enum JobInput {
    /// AMS `JobInputAsset`. `files`: relative to the asset's folder; empty for the one media file there.
    Asset {
        asset_name: String,
        files: Vec<String>,
        label: Option<String>,
        cut: Cut,
    },
    /// AMS `JobInputHttp`. `shown`: as it was sent but without query strings; `urls`: complete.
    Http {
        shown: Map<String, Json>,
        urls: Vec<String>,
        cut: Cut,
    },
    /// AMS `JobInputSequence`: one after the other.
    Sequence { inputs: Vec<JobInput> },
    /// AMS `JobInputs`: the first is the source, the others are what presets call by label.
    Several { inputs: Vec<JobInput> },
}

/// What is used of an input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cut {
    /// `start`, `end` and `inputDefinitions` as they were sent.
    pub shown: Map<String, Json>,
    pub selection: Selection,
}

/// As it is kept, sealed, where a name of an asset and its files do not say all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(super) enum Stored {
    Asset {
        asset: String,
        files: Vec<String>,
        selection: Selection,
    },
    Http {
        urls: Vec<String>,
        selection: Selection,
    },
    Sequence {
        inputs: Vec<Stored>,
    },
    Several {
        inputs: Vec<Stored>,
    },
}

impl JobInput {
    /// The input as responses show it. Query strings, which may carry signatures, are not in it.
    pub fn shown(&self) -> Json {
        let list = |inputs: &[JobInput]| inputs.iter().map(JobInput::shown).collect::<Vec<_>>();
        match self {
            Self::Asset {
                asset_name,
                files,
                label,
                cut,
            } => {
                let mut shown = json!({
                    "@odata.type": "#Microsoft.Media.JobInputAsset",
                    "assetName": asset_name,
                    "files": files,
                });
                if let Json::Object(members) = &mut shown {
                    if let Some(label) = label {
                        members.insert("label".into(), label.clone().into());
                    }
                    members.extend(cut.shown.clone());
                }
                shown
            }
            Self::Http { shown, cut, .. } => {
                let mut members = shown.clone();
                members.extend(cut.shown.clone());
                Json::Object(members)
            }
            Self::Sequence { inputs } => json!({
                "@odata.type": "#Microsoft.Media.JobInputSequence",
                "inputs": list(inputs),
            }),
            Self::Several { inputs } => json!({
                "@odata.type": "#Microsoft.Media.JobInputs",
                "inputs": list(inputs),
            }),
        }
    }

    /// Everything that tells two inputs apart, for fingerprints: with the URLs that are not shown.
    pub fn identity(&self) -> Json {
        let list = |inputs: &[JobInput]| inputs.iter().map(JobInput::identity).collect::<Vec<_>>();
        match self {
            Self::Asset { .. } => json!([]),
            Self::Http { urls, .. } => json!(urls),
            Self::Sequence { inputs } | Self::Several { inputs } => Json::Array(list(inputs)),
        }
    }

    /// The asset, if it is one, whole or cut.
    pub(super) fn asset(&self) -> Option<&str> {
        match self {
            Self::Asset { asset_name, .. } => Some(asset_name),
            _ => None,
        }
    }

    /// All assets and their files, with the path of each input in the request.
    pub(super) fn assets(&self) -> Vec<(String, &str, &[String])> {
        let mut found = Vec::new();
        self.collect("properties.input".into(), &mut found);
        found
    }

    fn collect<'a>(&'a self, path: String, found: &mut Vec<(String, &'a str, &'a [String])>) {
        match self {
            Self::Asset {
                asset_name, files, ..
            } => found.push((path, asset_name, files)),
            Self::Http { .. } => {}
            Self::Sequence { inputs } | Self::Several { inputs } => {
                for (index, input) in inputs.iter().enumerate() {
                    input.collect(format!("{path}.inputs[{index}]"), found);
                }
            }
        }
    }

    /// What is kept sealed; `None` where the asset's name and files say all.
    pub(super) fn stored(&self) -> Option<Stored> {
        match self {
            Self::Asset { cut, .. } if cut.selection == Selection::default() => None,
            other => Some(other.store()),
        }
    }

    fn store(&self) -> Stored {
        let list = |inputs: &[JobInput]| inputs.iter().map(JobInput::store).collect();
        match self {
            Self::Asset {
                asset_name,
                files,
                cut,
                label,
            } => Stored::Asset {
                asset: asset_name.clone(),
                files: files.clone(),
                selection: Selection {
                    label: label.clone(),
                    ..cut.selection.clone()
                },
            },
            Self::Http { urls, cut, .. } => Stored::Http {
                urls: urls.clone(),
                selection: cut.selection.clone(),
            },
            Self::Sequence { inputs } => Stored::Sequence {
                inputs: list(inputs),
            },
            Self::Several { inputs } => Stored::Several {
                inputs: list(inputs),
            },
        }
    }
}

impl Stored {
    /// Reads what was sealed. Jobs of earlier versions kept a list of URLs.
    pub(super) fn read(plain: &[u8]) -> Option<Self> {
        if let Ok(urls) = serde_json::from_slice::<Vec<String>>(plain) {
            return Some(Self::Http {
                urls,
                selection: Selection::default(),
            });
        }
        serde_json::from_slice(plain).ok()
    }

    /// As a worker gets it. The inner error: an asset is gone.
    pub(super) async fn claimed<S: Sql>(
        self,
        sql: &S,
        project: &ProjectId,
    ) -> Result<Result<ClaimedInput, JobError>, CatalogError> {
        Ok(Ok(match self {
            Self::Asset {
                asset,
                files,
                selection,
            } => match queue::locate(sql, project, &asset).await? {
                Some(location) => ClaimedInput::Asset {
                    location: Box::new(location),
                    files,
                    selection,
                },
                None => return Ok(Err(queue::input_gone(&asset))),
            },
            Self::Http { urls, selection } => ClaimedInput::Http { urls, selection },
            Self::Sequence { inputs } => match claimed_all(inputs, sql, project).await? {
                Ok(inputs) => ClaimedInput::Sequence { inputs },
                Err(gone) => return Ok(Err(gone)),
            },
            Self::Several { inputs } => match claimed_all(inputs, sql, project).await? {
                Ok(inputs) => ClaimedInput::Several { inputs },
                Err(gone) => return Ok(Err(gone)),
            },
        }))
    }
}

async fn claimed_all<S: Sql>(
    inputs: Vec<Stored>,
    sql: &S,
    project: &ProjectId,
) -> Result<Result<Vec<ClaimedInput>, JobError>, CatalogError> {
    let mut claimed = Vec::with_capacity(inputs.len());
    for input in inputs {
        match Box::pin(input.claimed(sql, project)).await? {
            Ok(input) => claimed.push(input),
            Err(gone) => return Ok(Err(gone)),
        }
    }
    Ok(Ok(claimed))
}
