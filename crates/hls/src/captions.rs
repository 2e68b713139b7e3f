//! `EXT-X-MEDIA` of type `CLOSED-CAPTIONS`, §4.4.6.1 of the draft: captions that are inside of the pictures.
//!
//! ```text
//! #EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="cc",NAME="CC1",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID="CC1"
//! ```

use crate::text::attribute;

/// `GROUP-ID` of all captions.
const GROUP: &str = "cc";
/// The least `EXT-X-VERSION` with services of CEA-708.
const SERVICES_VERSION: u8 = 7;

/// What is known of captions inside of pictures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClosedCaptions {
    /// Nothing: players find out for themselves.
    #[default]
    Unknown,
    /// There are these; an empty list says that there are none.
    Known(Vec<ClosedCaption>),
}

/// One channel of CEA-608 or service of CEA-708.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedCaption {
    /// Which.
    pub id: InstreamId,
    /// `LANGUAGE`, BCP-47.
    pub language: Option<String>,
}

/// `INSTREAM-ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstreamId {
    /// `CC1` to `CC4`.
    Channel(u8),
    /// `SERVICE1` to `SERVICE63`.
    Service(u8),
}

impl std::fmt::Display for InstreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Channel(number) => write!(f, "CC{number}"),
            Self::Service(number) => write!(f, "SERVICE{number}"),
        }
    }
}

impl ClosedCaptions {
    fn list(&self) -> &[ClosedCaption] {
        match self {
            Self::Unknown => &[],
            Self::Known(list) => list,
        }
    }

    /// The least `EXT-X-VERSION` that has words for them; 0 if any does.
    pub(crate) fn version(&self) -> u8 {
        let service = |caption: &ClosedCaption| matches!(caption.id, InstreamId::Service(_));
        match self.list().iter().any(service) {
            true => SERVICES_VERSION,
            false => 0,
        }
    }

    pub(crate) fn write(&self, out: &mut String) {
        for caption in self.list() {
            let id = caption.id.to_string();
            out.push_str("#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS");
            attribute(out, "GROUP-ID", GROUP);
            attribute(out, "NAME", &id);
            if let Some(language) = &caption.language {
                attribute(out, "LANGUAGE", language);
            }
            out.push_str(",DEFAULT=NO,AUTOSELECT=YES");
            attribute(out, "INSTREAM-ID", &id);
            out.push('\n');
        }
    }

    /// Whether there are none for sure.
    pub(crate) fn are_none(&self) -> bool {
        matches!(self, Self::Known(list) if list.is_empty())
    }

    /// The attribute of a variant with pictures.
    pub(crate) fn write_attribute(&self, out: &mut String) {
        match self {
            Self::Unknown => {}
            Self::Known(list) if list.is_empty() => out.push_str(",CLOSED-CAPTIONS=NONE"),
            Self::Known(_) => attribute(out, "CLOSED-CAPTIONS", GROUP),
        }
    }
}
