//! `#MediaKind.ThumbnailGeneratorPreset`: pictures of a source and nothing else.

use crate::formats::{Container, OutputFormat, Pattern};
use crate::images::{ImageFormat, ImageLayer, Images, Place, place, several_for_a_sheet};
use crate::model::{Preset, Stretch};
use crate::read::{Node, PresetError};
use crate::standard::length;

/// Characters of the input's name that file names begin with.
const BASENAME: usize = 64;
/// Most entries.
const MOST: usize = 20;

pub(crate) fn parse(node: &Node<'_>) -> Result<Preset, PresetError> {
    node.only(&["@odata.type", "baseFilename", "thumbnails"])?;
    let base = node.text("baseFilename")?;
    if base.is_some_and(|base| {
        base.is_empty() || base.len() > 64 || base.contains(['/', '\\', '{', '}'])
    }) {
        return Err(node.fault(
            "baseFilename",
            "must be a file name of at most 64 characters",
        ));
    }
    let entries = node.objects("thumbnails")?;
    if entries.is_empty() || entries.len() > MOST {
        return Err(node.fault("thumbnails", format!("must have 1 to {MOST} members")));
    }
    let mut preset = Preset::empty();
    for entry in &entries {
        preset.images.push(thumbnail(entry)?);
    }
    let base = base.unwrap_or("{Basename}");
    for container in [Container::Jpeg, Container::Png] {
        preset.formats.push(OutputFormat {
            container,
            pattern: Pattern::own(format!("{base}_{{Label}}{{Index}}{{Extension}}"), BASENAME),
            files: Vec::new(),
        });
    }
    Ok(preset)
}

fn thumbnail(node: &Node<'_>) -> Result<Images, PresetError> {
    node.only(&[
        "format",
        "width",
        "height",
        "start",
        "range",
        "step",
        "label",
        "quality",
        "spriteColumn",
    ])?;
    let format = node
        .choice(
            "format",
            &[("Jpeg", ImageFormat::Jpeg), ("Png", ImageFormat::Png)],
        )?
        .unwrap_or(ImageFormat::Jpeg);
    let sprite_columns = node.small("spriteColumn", 1..=100)?;
    if sprite_columns.is_some() && format == ImageFormat::Png {
        return Err(node.fault("spriteColumn", "needs the format Jpeg"));
    }
    let start = place(node, "start")?.unwrap_or(Place::Ms(0));
    // One picture unless a range is given.
    let range = place(node, "range")?.unwrap_or(Place::Frames(1));
    let single = start == Place::Best || range == Place::Frames(1);
    if single && sprite_columns.is_some() {
        return Err(several_for_a_sheet(node));
    }
    Ok(Images {
        format,
        start,
        step: if single {
            None
        } else {
            Some(place(node, "step")?.unwrap_or(Place::Percent(10.0)))
        },
        range: (!single).then_some(range),
        layers: vec![ImageLayer {
            width: length(node, "width", 1)?,
            height: length(node, "height", 1)?,
            quality: node.small("quality", 0..=100)?.unwrap_or(70),
            label: None,
        }],
        stretch: Stretch::AutoSize,
        sprite_columns,
        label: node.text("label")?.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::formats::Values;

    fn read(entry: serde_json::Value) -> Result<Preset, PresetError> {
        Preset::parse(
            &json!({"@odata.type": "#MediaKind.ThumbnailGeneratorPreset", "thumbnails": [entry]}),
        )
    }

    #[test]
    fn names_begin_with_more_of_the_input_than_those_of_ams() {
        let preset = read(json!({"label": "t"})).unwrap();
        let values = Values {
            basename: "n".repeat(80),
            extension: "jpg".into(),
            label: Some("t".into()),
            index: Some(1),
            ..Values::default()
        };
        let name = preset.formats[0].pattern.expand(&values);
        assert_eq!(name, format!("{}_t000001.jpg", "n".repeat(64)));
    }

    #[test]
    fn a_sheet_has_several_pictures() {
        for entry in [
            json!({"start": "{Best}", "range": "100%", "spriteColumn": 4}),
            json!({"start": "0%", "spriteColumn": 4}),
        ] {
            assert_eq!(read(entry).unwrap_err().field, "thumbnails[0].spriteColumn");
        }
        read(json!({"start": "0%", "range": "100%", "spriteColumn": 4})).unwrap();
    }
}
