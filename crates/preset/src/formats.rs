//! Formats (AMS `Format`): which files an output has, and how they are called.

use crate::read::{Node, PresetError};

/// Files of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputFormat {
    /// What kind.
    pub container: Container,
    /// How they are called.
    pub pattern: Pattern,
    /// Which tracks, by label, go into a file together; empty for one file a track.
    pub files: Vec<Vec<String>>,
}

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// `Mp4Format`.
    Mp4,
    /// `TransportStreamFormat`.
    TransportStream,
    /// `JpgFormat`.
    Jpeg,
    /// `PngFormat`.
    Png,
}

impl Container {
    /// Of files, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::TransportStream => "ts",
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }
}

/// A file name with macros (`filenamePattern`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// Characters of the input's name that are used.
    basename: usize,
}

/// As AMS has it.
const BASENAME: usize = 32;

/// What macros stand for; those that are `None` vanish.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// Name of the input file without its extension; as much of it is used as the pattern has room for.
    pub basename: String,
    /// With no dot.
    pub extension: String,
    /// Of the track, layer or codec.
    pub label: Option<String>,
    /// Of pictures that are taken, from 1.
    pub index: Option<u32>,
    /// Of the sound.
    pub audio_stream: Option<String>,
    /// In kbit/s.
    pub kbps: Option<u32>,
    /// Such as `H264`.
    pub codec: Option<String>,
    /// Width and height.
    pub resolution: Option<(u32, u32)>,
}

const MACROS: [&str; 8] = [
    "Basename",
    "Extension",
    "Label",
    "Index",
    "AudioStream",
    "Bitrate",
    "Codec",
    "Resolution",
];

impl Pattern {
    /// Of our own making: known to be good. `basename`: characters of the input's name that are used.
    pub(crate) fn own(text: String, basename: usize) -> Self {
        Self { text, basename }
    }

    /// Errors: a macro that is not known, or characters that a file name does not have.
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 255 {
            return Err("must have 1 to 255 characters".into());
        }
        if text.contains(|c: char| c.is_control() || "/\\?#%*:|\"<>".contains(c))
            || text.contains("..")
        {
            return Err("must be a file name, without folders".into());
        }
        let mut rest = text;
        while let Some((_, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err("has a brace that is not closed".into());
            };
            if !MACROS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                return Err(format!(
                    "has the macro '{{{name}}}', which is not known; these are: {}",
                    MACROS.join(", ")
                ));
            }
            rest = after;
        }
        Ok(Self {
            text: text.to_owned(),
            basename: BASENAME,
        })
    }

    /// Whether the macro `name` is used.
    pub fn uses(&self, name: &str) -> bool {
        self.text
            .to_ascii_lowercase()
            .contains(&format!("{{{}}}", name.to_ascii_lowercase()))
    }

    /// The file name for `values`. `{Extension}` brings its dot along, unless the pattern has one before it.
    pub fn expand(&self, values: &Values) -> String {
        let mut out = String::new();
        let mut rest = self.text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "basename" => out.extend(values.basename.chars().take(self.basename)),
                "extension" => {
                    if !out.ends_with('.') {
                        out.push('.');
                    }
                    out.push_str(&values.extension);
                }
                "label" => out.push_str(values.label.as_deref().unwrap_or_default()),
                "index" => {
                    if let Some(index) = values.index {
                        out.push_str(&format!("{index:06}"));
                    }
                }
                "audiostream" => out.push_str(values.audio_stream.as_deref().unwrap_or_default()),
                "bitrate" => {
                    if let Some(kbps) = values.kbps {
                        out.push_str(&kbps.to_string());
                    }
                }
                "codec" => out.push_str(values.codec.as_deref().unwrap_or_default()),
                "resolution" => {
                    if let Some((width, height)) = values.resolution {
                        out.push_str(&format!("{width}x{height}"));
                    }
                }
                _ => {}
            }
            rest = after;
        }
        out.push_str(rest);
        let dotted = format!(".{}", values.extension);
        if !out.to_ascii_lowercase().ends_with(&dotted) {
            out.push_str(&dotted);
        }
        out
    }
}

/// Most files of one format.
const MOST_FILES: usize = 50;

pub(crate) fn parse(node: &Node<'_>) -> Result<OutputFormat, PresetError> {
    let container = match node.kind()? {
        "Mp4Format" => Container::Mp4,
        "TransportStreamFormat" => Container::TransportStream,
        "JpgFormat" => Container::Jpeg,
        "PngFormat" => Container::Png,
        other => {
            return Err(node.fault("@odata.type", format!("'{other}' is not a kind of format")));
        }
    };
    let many = matches!(container, Container::Mp4 | Container::TransportStream);
    let known: &[&str] = if many {
        &["@odata.type", "filenamePattern", "outputFiles"]
    } else {
        &["@odata.type", "filenamePattern"]
    };
    node.only(known)?;
    let pattern = Pattern::parse(node.required_text("filenamePattern")?)
        .map_err(|fault| node.fault("filenamePattern", fault))?;
    let mut files = Vec::new();
    for file in node.objects("outputFiles")? {
        file.only(&["labels"])?;
        let labels: Vec<String> = file
            .texts("labels")?
            .into_iter()
            .map(str::to_owned)
            .collect();
        if labels.is_empty() {
            return Err(file.fault("labels", "must name at least one track"));
        }
        files.push(labels);
    }
    if files.len() > MOST_FILES {
        return Err(node.fault(
            "outputFiles",
            format!("must have at most {MOST_FILES} members"),
        ));
    }
    Ok(OutputFormat {
        container,
        pattern,
        files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_are_filled_in_and_unset_ones_vanish() {
        let values = Values {
            basename: "a-film-whose-name-has-more-than-32-characters".into(),
            extension: "mp4".into(),
            label: Some("HD".into()),
            kbps: Some(3400),
            codec: Some("H264".into()),
            resolution: Some((1280, 720)),
            ..Values::default()
        };
        let expand = |text: &str| Pattern::parse(text).unwrap().expand(&values);
        assert_eq!(
            expand("{Basename}_{Resolution}_{Bitrate}{Extension}"),
            "a-film-whose-name-has-more-than-_1280x720_3400.mp4"
        );
        assert_eq!(
            expand("v-{Label}-{codec}{Index}.{Extension}"),
            "v-HD-H264.mp4"
        );
        assert_eq!(expand("plain"), "plain.mp4");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for bad in ["../x", "a/b", "{Nonsense}", "{Label", "", "a\u{0}b"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
