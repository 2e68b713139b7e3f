//! Who may read a host's media, as players of an older kind ask: `/crossdomain.xml` of Flash, `/clientaccesspolicy.xml` of
//! Silverlight. Spec: AMS `StreamingEndpoint`, `crossSiteAccessPolicies` (management API reference, 1.7).
//!
//! A document speaks for a whole host, and one host may serve many endpoints. So those answer that have its name for their own,
//! or all where none has; and where they do not say the same, nobody does. What live events say counts where no endpoint says
//! anything.

use crate::endpoints::of_host;

/// The documents of an endpoint or a live event, where it has any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CrossSite {
    /// Host names that are its own.
    pub hosts: Vec<String>,
    /// `/crossdomain.xml`
    pub cross_domain: Option<String>,
    /// `/clientaccesspolicy.xml`
    pub client_access: Option<String>,
}

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Document {
    CrossDomain,
    ClientAccess,
}

impl Document {
    /// What a path names, if it is one.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/crossdomain.xml" => Some(Self::CrossDomain),
            "/clientaccesspolicy.xml" => Some(Self::ClientAccess),
            _ => None,
        }
    }

    /// The document of a host. `endpoints` and `events`: those that run, at least if they have documents or host names.
    pub(crate) fn of<'e>(
        self,
        host: Option<&str>,
        endpoints: &'e [CrossSite],
        events: &'e [CrossSite],
    ) -> Option<&'e str> {
        self.agreed(host, endpoints)
            .unwrap_or_else(|| self.agreed(host, events).flatten())
    }

    /// Ok `None`: they say different things. `None`: nothing.
    fn agreed<'e>(self, host: Option<&str>, all: &'e [CrossSite]) -> Option<Option<&'e str>> {
        let asked = of_host(all, host, |one| &one.hosts);
        let mut said = asked.filter_map(|one| match self {
            Self::CrossDomain => one.cross_domain.as_deref(),
            Self::ClientAccess => one.client_access.as_deref(),
        });
        let first = said.next()?;
        Some(said.all(|other| other == first).then_some(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(host: &str, cross_domain: &str) -> CrossSite {
        CrossSite {
            hosts: Some(host.to_owned())
                .into_iter()
                .filter(|host| !host.is_empty())
                .collect(),
            cross_domain: Some(cross_domain.to_owned()),
            client_access: None,
        }
    }

    #[test]
    fn a_document_speaks_for_a_whole_host() {
        let of = |host, endpoints: &[CrossSite], events: &[CrossSite]| {
            let found = Document::CrossDomain.of(Some(host), endpoints, events);
            found.map(str::to_owned)
        };
        let own = [says("films.example", "films"), says("", "all")];
        assert_eq!(of("films.example:443", &own, &[]).as_deref(), Some("films"));
        // Under other names both are asked, and they do not agree.
        assert_eq!(of("localhost", &own, &[]), None);
        assert_eq!(of("localhost", &own[1..], &[]).as_deref(), Some("all"));
        assert_eq!(
            of(
                "localhost",
                &[says("", "all"), says("a.example", "all")],
                &[]
            )
            .as_deref(),
            Some("all")
        );
        let event = [says("", "event")];
        assert_eq!(of("localhost", &[], &event).as_deref(), Some("event"));
        assert_eq!(of("localhost", &own[1..], &event).as_deref(), Some("all"));
        assert_eq!(of("localhost", &own, &event), None);
        assert_eq!(
            Document::ClientAccess.of(Some("localhost"), &own, &event),
            None
        );
        // Whose own the name is, and who says nothing, is not spoken for.
        let silent = CrossSite {
            hosts: vec!["films.example".into()],
            ..CrossSite::default()
        };
        let beside = [silent, says("", "all")];
        assert_eq!(of("films.example", &beside, &[]), None);
        assert_eq!(of("localhost", &beside, &[]).as_deref(), Some("all"));
        assert_eq!(Document::at("/crossdomain.xml/"), None);
    }
}
