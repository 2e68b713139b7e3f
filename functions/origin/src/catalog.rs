//! The origin's catalog port over the instance's shared database connection.

use headwater_blob::{Auth, Container};
use headwater_catalog::endpoints::{self, EndpointRules};
use headwater_catalog::live::{self, LivePreview, LiveSource};
use headwater_catalog::policies;
use headwater_catalog::protection as stored;
use headwater_catalog::publishing::{
    LocatorProtection, PublishedLocator, applicable_filters, locator_protection, published_locator,
};
use headwater_catalog::tracks::{self, TrackKind};
use headwater_edge::{config, sql};
use headwater_origin::filter::{Filter, Stored};
use headwater_origin::{
    AddedKind, AddedTrack, BlobFolder, Broadcast, Catalog, CatalogError, ContentKey, CrossSite,
    Edge, Encrypted, Endpoint, KeyOffer, KeySystem, PREVIEW, Protection, Protocols, Published,
    RowsPerSegment, SchemeProtection, SignatureKey, Tracks, Way,
};
use headwater_protect::Key;
use headwater_seal::Seal;
use std::cell::RefCell;
use std::rc::Rc;

/// Resolves locators; keeps what opens sealed credentials.
#[derive(Default)]
pub(crate) struct SpinCatalog {
    seal: RefCell<Option<Rc<Seal>>>,
}

impl SpinCatalog {
    async fn seal(&self) -> Result<Rc<Seal>, CatalogError> {
        if let Some(seal) = self.seal.borrow().as_ref() {
            return Ok(Rc::clone(seal));
        }
        let seal = Rc::new(config::seal().await.map_err(failed)?);
        self.seal.replace(Some(Rc::clone(&seal)));
        Ok(seal)
    }
}

impl Catalog for SpinCatalog {
    type Location = BlobFolder;

    async fn resolve(&self, locator: &str) -> Result<Option<Published<BlobFolder>>, CatalogError> {
        let seal = self.seal().await?;
        let connection = sql::shared().await.map_err(failed)?;
        match published_locator(&*connection, &seal, locator).await {
            Ok(Some(locator)) => publish(locator).map(Some),
            Ok(None) => {
                let found = live::source::preview(&*connection, &seal, locator).await;
                found.map_err(failed)?.map(preview).transpose()
            }
            Err(error) => {
                // The connection may be what is wrong.
                sql::forget_shared();
                Err(failed(error))
            }
        }
    }

    async fn protection(&self, locator: &str) -> Result<Option<Protection>, CatalogError> {
        let seal = self.seal().await?;
        let connection = sql::shared().await.map_err(failed)?;
        let found = locator_protection(&*connection, &seal, locator).await;
        let found = found.map_err(|error| {
            sql::forget_shared();
            failed(error)
        })?;
        let public_url = config::public_url().await.map_err(failed)?;
        found.map(|found| protect(found, &public_url)).transpose()
    }

    async fn filters(
        &self,
        locator: &str,
        names: &[String],
    ) -> Result<Vec<Option<Stored>>, CatalogError> {
        let connection = sql::shared().await.map_err(failed)?;
        let found = applicable_filters(&*connection, locator, names).await;
        let found = found.map_err(|error| {
            sql::forget_shared();
            failed(error)
        })?;
        let stored = found.iter().map(Option::as_ref);
        Ok(stored.map(|stored| stored.map(Filter::read)).collect())
    }

    async fn added_tracks(&self, locator: &str) -> Result<Vec<AddedTrack>, CatalogError> {
        let connection = sql::shared().await.map_err(failed)?;
        let found = tracks::of_locator(&*connection, locator).await;
        let found = found.map_err(|error| {
            sql::forget_shared();
            failed(error)
        })?;
        let added = found.into_iter().map(|track| {
            let kind = match track.kind {
                TrackKind::Audio => AddedKind::Audio,
                TrackKind::Text => AddedKind::Text,
            };
            AddedTrack::read(track.name, kind, track.file_name, &track.properties)
        });
        Ok(added.collect())
    }

    async fn cross_site(&self) -> Result<(Vec<CrossSite>, Vec<CrossSite>), CatalogError> {
        let connection = sql::shared().await.map_err(failed)?;
        let found = endpoints::cross_site(&*connection).await;
        let (endpoints, events) = found.map_err(|error| {
            sql::forget_shared();
            failed(error)
        })?;
        let said = |all: Vec<endpoints::CrossSite>| {
            let all = all.into_iter().map(|one| CrossSite {
                hosts: one.hosts,
                cross_domain: one.cross_domain,
                client_access: one.client_access,
            });
            all.collect()
        };
        Ok((said(endpoints), said(events)))
    }
}

fn broadcast(live: LiveSource) -> Broadcast {
    Broadcast {
        event: live.event.to_string(),
        manifest: live.manifest,
        edge: live.edge.map(edge),
        archive_ms: live.archive_ms,
        rewind_ms: live.rewind_ms,
        rows_per_segment: RowsPerSegment::new(live.fragments_per_ts_segment).unwrap_or_default(),
        preview: None,
    }
}

/// What is shown of an event before it is published: in the clear, as long as it runs.
fn preview(event: LivePreview) -> Result<Published<BlobFolder>, CatalogError> {
    // Nothing of a preview is in storage.
    let nowhere = Container::new("http://preview.invalid/none", Auth::None).map_err(failed)?;
    Ok(Published {
        start: None,
        end: None,
        suppressed: !event.running,
        endpoints: vec![Endpoint::default()],
        protocols: Protocols {
            hls: true,
            dash: true,
            smooth: true,
            download: false,
        },
        encrypted: Encrypted::default(),
        filters: Vec::new(),
        place: format!("preview/{}", event.event),
        location: BlobFolder {
            container: nowhere,
            folder: String::new(),
        },
        live: Some(Broadcast {
            event: event.event.to_string(),
            manifest: PREVIEW.to_owned(),
            edge: event.edge.map(edge),
            archive_ms: u64::MAX,
            rewind_ms: None,
            rows_per_segment: RowsPerSegment::ONE,
            preview: Some(event.allow),
        }),
    })
}

fn edge(edge: headwater_work::live::Edge) -> Edge {
    Edge {
        url: edge.url,
        secret: edge.secret,
    }
}

fn publish(locator: PublishedLocator) -> Result<Published<BlobFolder>, CatalogError> {
    let container = Container::new(&locator.container_url, locator.auth).map_err(failed)?;
    let policy = locator.policy;
    Ok(Published {
        start: locator.start_time,
        end: locator.end_time,
        suppressed: locator.suppressed || locator.unfinished,
        endpoints: locator.endpoints.into_iter().map(endpoint).collect(),
        protocols: protocols(policy.clear),
        encrypted: Encrypted {
            envelope: protocols(policy.envelope),
            cenc: protocols(policy.cenc),
            cbcs: protocols(policy.cbcs),
        },
        filters: locator.filters,
        live: locator.live.map(broadcast),
        // Not the store's address: it may change, hosts may have different ones, and initialisation vectors go by this.
        place: format!(
            "{}/{}/{}/{}",
            locator.project.as_str(),
            locator.asset_name,
            locator.container,
            locator.sub_path
        ),
        location: BlobFolder {
            container,
            folder: locator.sub_path,
        },
    })
}

fn endpoint(rules: EndpointRules) -> Endpoint {
    Endpoint {
        hosts: rules.hosts,
        allow: rules.allow,
        signed_with: rules
            .signed_with
            .into_iter()
            .map(|key| SignatureKey {
                identifier: key.identifier,
                key: key.key.expose().to_vec(),
                expires: key.expires,
            })
            .collect(),
        max_age: rules.max_age,
    }
}

fn protect(found: LocatorProtection, public_url: &str) -> Result<Protection, CatalogError> {
    let mut schemes = Vec::new();
    for scheme in &found.schemes {
        let mut keys = Vec::new();
        let own = |key: &&headwater_catalog::locator_keys::ContentKey| {
            key.usage.encryption == scheme.encryption
        };
        for key in found.keys.iter().filter(own) {
            keys.push(ContentKey {
                kid: key.id.into(),
                key: Key::from_slice(key.value.expose()).map_err(failed)?,
                tracks: Tracks::read(&key.usage.tracks),
            });
        }
        let offers = scheme.offers.iter().map(|offer| KeyOffer {
            system: match offer.system {
                stored::KeySystem::ClearKey => KeySystem::ClearKey,
                stored::KeySystem::FairPlay => KeySystem::FairPlay,
                stored::KeySystem::PlayReady => KeySystem::PlayReady,
                stored::KeySystem::Widevine => KeySystem::Widevine,
            },
            url_template: offer.url_template.clone(),
            custom_attributes: offer.custom_attributes.clone(),
        });
        schemes.push(SchemeProtection {
            way: match scheme.encryption {
                stored::Encryption::Envelope => Way::Envelope,
                stored::Encryption::Cenc => Way::Cenc,
                stored::Encryption::Cbcs => Way::Cbcs,
            },
            keys,
            clear: Tracks::read(&scheme.clear_tracks),
            offers: offers.collect(),
            rotation: scheme.rotation,
        });
    }
    Ok(Protection {
        schemes,
        media_id: found.alternative_media_id,
        key_url: format!("{public_url}/keys"),
    })
}

fn protocols(enabled: policies::Protocols) -> Protocols {
    Protocols {
        hls: enabled.hls,
        dash: enabled.dash,
        smooth: enabled.smooth,
        download: enabled.download,
    }
}

fn failed(error: impl std::fmt::Display) -> CatalogError {
    CatalogError(error.to_string())
}
