//! What `cargo xtask bench origin` asks for beside HLS and DASH over CMAF: transport streams, old DASH, Smooth Streaming, sound and
//! I-frame playlists of the same film.

use crate::installation::Installation;
use anyhow::{Context, Result};

/// Name, path, and whether what counts is the cost of a byte.
pub(crate) type Asked = (&'static str, String, bool);

/// Paths of the lists of a presentation.
pub(crate) struct Found {
    /// Media playlists of pictures and of sound over CMAF, and of pictures over transport streams.
    pub(crate) video: String,
    pub(crate) audio: String,
    pub(crate) packets: String,
    /// I-frame playlist over CMAF.
    pub(crate) key_frames: String,
    /// Manifest of Smooth Streaming.
    pub(crate) smooth: String,
}

impl Found {
    /// `master`: the multivariant playlist over CMAF.
    pub(crate) fn of(headwater: &Installation, master: &str) -> Result<Self> {
        let (smooth, _) = master
            .split_once('(')
            .context("the multivariant playlist's path has no format")?;
        let text = headwater.get(master)?;
        let audio = tagged(&text, "#EXT-X-MEDIA:TYPE=AUDIO").context("no rendition of sound")?;
        let key_frames =
            tagged(&text, "#EXT-X-I-FRAME-STREAM-INF").context("no I-frame playlist")?;
        let separate = format!("{smooth}(format=m3u8-aapl)");
        Ok(Self {
            video: beside(master, &variant(&text)?),
            audio: beside(master, &audio),
            packets: beside(&separate, &variant(&headwater.get(&separate)?)?),
            key_frames: beside(master, &key_frames),
            smooth: smooth.to_owned(),
        })
    }
}

/// Paths of a playlist's first segment and of its last.
pub(crate) fn ends(headwater: &Installation, playlist: &str) -> Result<[String; 2]> {
    let text = headwater.get(playlist)?;
    let mut segments = text.lines().filter(|line| line.starts_with("Fragments"));
    let first = segments.next().context("the playlist lists no segment")?;
    let last = segments.next_back().unwrap_or(first);
    Ok([first, last].map(|segment| beside(playlist, segment)))
}

/// `master`: the multivariant playlist over CMAF.
pub(crate) fn paths(headwater: &Installation, master: &str) -> Result<Vec<Asked>> {
    let (manifest, _) = master
        .split_once('(')
        .context("the multivariant playlist's path has no format")?;
    let of = |format: &str| format!("{manifest}(format={format})");
    let mut asked = Vec::new();

    let cmaf = headwater.get(master)?;
    let audio = tagged(&cmaf, "#EXT-X-MEDIA:TYPE=AUDIO").context("no rendition of sound")?;
    let audio = beside(master, &audio);
    asked.push(("audio segment", entry(headwater, &audio)?, true));
    let key_frames = tagged(&cmaf, "#EXT-X-I-FRAME-STREAM-INF").context("no I-frame playlist")?;
    asked.push((
        "I-frame playlist (300 segments)",
        beside(master, &key_frames),
        false,
    ));

    let separate = of("m3u8-aapl");
    let text = headwater.get(&separate)?;
    let playlist = beside(&separate, &variant(&text)?);
    let segment = entry(headwater, &playlist)?;
    asked.push(("media playlist, TS", playlist, false));
    asked.push(("video segment, TS", segment, true));
    let key_frames =
        tagged(&text, "#EXT-X-I-FRAME-STREAM-INF").context("no I-frame playlist in TS")?;
    asked.push((
        "I-frame playlist, TS",
        beside(&separate, &key_frames),
        false,
    ));

    let muxed = of("m3u8-aapl-v3");
    let playlist = beside(&muxed, &variant(&headwater.get(&muxed)?)?);
    asked.push(("A+V muxed segment, TS", entry(headwater, &playlist)?, true));

    asked.push(("MPD, csf", of("mpd-time-csf"), false));
    let smooth = headwater.get(manifest)?;
    asked.push((
        "video fragment, Smooth",
        beside(manifest, &fragment(&smooth)?),
        true,
    ));
    asked.push(("manifest, Smooth", manifest.to_owned(), false));
    Ok(asked)
}

/// The URL of the first tag that begins so.
fn tagged(playlist: &str, tag: &str) -> Option<String> {
    let line = playlist.lines().find(|line| line.starts_with(tag))?;
    attribute(line, "URI").map(str::to_owned)
}

fn attribute<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}

fn variant(playlist: &str) -> Result<String> {
    let line = playlist
        .lines()
        .find(|line| line.starts_with("QualityLevels"));
    Ok(line
        .context("the multivariant playlist lists no variant")?
        .to_owned())
}

fn beside(path: &str, relative: &str) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{relative}")
}

/// The path of a playlist's first segment.
fn entry(headwater: &Installation, playlist: &str) -> Result<String> {
    let text = headwater.get(playlist)?;
    let line = text.lines().find(|line| line.starts_with("Fragments"));
    Ok(beside(
        playlist,
        line.context("the playlist lists no segment")?,
    ))
}

/// The first fragment of the first level of video.
fn fragment(manifest: &str) -> Result<String> {
    let stream = manifest
        .split("<StreamIndex")
        .find(|stream| stream.contains("Type=\"video\""))
        .context("the Smooth manifest has no video")?;
    let url = attribute(stream, "Url").context("the stream has no Url")?;
    let bitrate = attribute(stream, " Bitrate").context("the stream has no level")?;
    let first = stream
        .split("<c ")
        .nth(1)
        .context("the stream has no fragment")?;
    let first = first.split('>').next().unwrap_or_default();
    let start = attribute(first, "t").unwrap_or("0");
    Ok(url
        .replace("{bitrate}", bitrate)
        .replace("{start time}", start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_found_in_manifests() {
        let master = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",URI=\"QualityLevels(1)/Manifest(a,format=m3u8-cmaf)\"\n\
            #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"k\"\nQualityLevels(2)/Manifest(video)\n";
        assert_eq!(
            tagged(master, "#EXT-X-MEDIA:TYPE=AUDIO").unwrap(),
            "QualityLevels(1)/Manifest(a,format=m3u8-cmaf)"
        );
        assert_eq!(tagged(master, "#EXT-X-I-FRAME").unwrap(), "k");
        assert_eq!(variant(master).unwrap(), "QualityLevels(2)/Manifest(video)");
        assert_eq!(beside("/l/f.ism/manifest(format=x)", "Q/M"), "/l/f.ism/Q/M");
        let smooth = "<SmoothStreamingMedia><StreamIndex Type=\"audio\" Url=\"a\"/><StreamIndex Type=\"video\" QualityLevels=\"1\" \
            Url=\"QualityLevels({bitrate})/Fragments(video={start time})\"><QualityLevel Index=\"0\" Bitrate=\"5\"/>\
            <c t=\"20000000\" d=\"1\"/><c d=\"1\"/></StreamIndex></SmoothStreamingMedia>";
        assert_eq!(
            fragment(smooth).unwrap(),
            "QualityLevels(5)/Fragments(video=20000000)"
        );
        let smooth = smooth.replace("t=\"20000000\" ", "");
        assert_eq!(
            fragment(&smooth).unwrap(),
            "QualityLevels(5)/Fragments(video=0)"
        );
    }
}
