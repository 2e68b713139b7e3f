//! Objects on the wire, member by member, and the two schemas each is: what we show and what a client may write.
//!
//! The two differ where it matters to a client: a member that is always shown need not be written, `null` may be written for
//! a member that is left out (`fields`), and what is read only is taken back as it was shown and ignored.

use serde_json::{Map, Value as Json};

use super::schema::{Schema, anything, shape, text, time};

/// Which of the two a schema is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Shown,
    Written,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Always,
    /// As `null` to those who may not see secrets.
    Blank,
    Sometimes,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Required,
    Optional,
    /// Taken back as it was shown, and not looked at.
    Ignored,
}

/// One member of an object.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    name: &'static str,
    schema: Schema,
    written_as: Option<Schema>,
    shown: Shown,
    written: Written,
}

fn member(name: &'static str, schema: Schema, shown: Shown, written: Written) -> Member {
    Member {
        name,
        schema,
        written_as: None,
        shown,
        written,
    }
}

/// Must be written and is always shown.
pub(crate) fn required(name: &'static str, schema: Schema) -> Member {
    member(name, schema, Shown::Always, Written::Required)
}

/// May be written; shown if it was.
pub(crate) fn optional(name: &'static str, schema: Schema) -> Member {
    member(name, schema, Shown::Sometimes, Written::Optional)
}

/// May be written; always shown, because there is a value without it.
pub(crate) fn defaulted(name: &'static str, schema: Schema) -> Member {
    member(name, schema, Shown::Always, Written::Optional)
}

/// Read only.
pub(crate) fn shown(name: &'static str, schema: Schema) -> Member {
    member(name, schema, Shown::Always, Written::Ignored)
}

/// Read only, and not there in every state.
pub(crate) fn sometimes(name: &'static str, schema: Schema) -> Member {
    member(name, schema, Shown::Sometimes, Written::Ignored)
}

/// May be written and is never shown.
pub(crate) fn accepted(name: &'static str, schema: Schema) -> Member {
    member(name, schema, Shown::Never, Written::Optional)
}

/// A member that clients may send, that means nothing and is never shown.
pub(crate) fn ignored(name: &'static str) -> Member {
    member(name, anything(), Shown::Never, Written::Ignored)
}

/// Must be written; shown to those who may see secrets.
pub(crate) fn guarded(name: &'static str, schema: Schema) -> Member {
    member(name, schema, Shown::Sometimes, Written::Required)
}

/// Must be written; shown by the operations that reveal secrets, and elsewhere as `null`.
pub(crate) fn secret(name: &'static str, schema: Schema) -> Member {
    member(name, schema, Shown::Blank, Written::Required)
}

impl Member {
    /// What may be written in it, where that is not what is shown.
    pub(crate) fn written_as(mut self, schema: Schema) -> Self {
        self.written = Written::Optional;
        self.written_as = Some(schema);
        self
    }

    /// Must be written.
    pub(crate) fn needed(mut self) -> Self {
        self.written = Written::Required;
        self
    }

    fn to_write(&self) -> Schema {
        self.written_as.as_ref().unwrap_or(&self.schema).clone()
    }
}

/// The discriminator of an object that clients may also write without its prefix.
pub(crate) fn kind(name: &str) -> Member {
    let whole = format!("#Microsoft.Media.{name}");
    required(
        "@odata.type",
        text().with("enum", vec![whole, name.to_owned()]),
    )
}

/// Which schemas a shape has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sides {
    /// `Name` and `NameWrite`.
    Two,
    /// One that holds for both.
    Same,
    ShownOnly,
    WrittenOnly,
}

/// An object: a schema under `components`, or two.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(super) name: String,
    about: &'static str,
    members: Vec<Member>,
    /// Whether members beyond these are kept.
    open: bool,
    sides: Sides,
}

impl Shape {
    fn new(
        name: impl Into<String>,
        about: &'static str,
        sides: Sides,
        members: Vec<Member>,
    ) -> Self {
        Self {
            name: name.into(),
            about,
            members,
            open: false,
            sides,
        }
    }

    /// What is shown and written differently.
    pub(crate) fn two(name: impl Into<String>, about: &'static str, members: Vec<Member>) -> Self {
        Self::new(name, about, Sides::Two, members)
    }

    /// What looks the same whoever sends it.
    pub(crate) fn same(name: impl Into<String>, about: &'static str, members: Vec<Member>) -> Self {
        Self::new(name, about, Sides::Same, members)
    }

    /// What only we send.
    pub(crate) fn answer(
        name: impl Into<String>,
        about: &'static str,
        members: Vec<Member>,
    ) -> Self {
        Self::new(name, about, Sides::ShownOnly, members)
    }

    /// What only clients send.
    pub(crate) fn request(
        name: impl Into<String>,
        about: &'static str,
        members: Vec<Member>,
    ) -> Self {
        Self::new(name, about, Sides::WrittenOnly, members)
    }

    /// Keeps members that it does not name.
    pub(crate) fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// What changes it: nothing is required, because what is left out stays as it is.
    pub(crate) fn update(&self) -> Self {
        let mut update = self.clone();
        update.name.push_str("Update");
        update.about = "What is left out stays as it is.";
        update.sides = Sides::WrittenOnly;
        for member in &mut update.members {
            if member.written == Written::Required {
                member.written = Written::Optional;
            }
        }
        update
    }

    /// The name of its schema on one side.
    pub(super) fn name_on(&self, side: Side) -> String {
        match (self.sides, side) {
            (Sides::Two, Side::Written) => format!("{}Write", self.name),
            _ => self.name.clone(),
        }
    }

    /// Whether it stands in AMS's envelope, and so in lists.
    pub(super) fn is_resource(&self) -> bool {
        self.sides == Sides::Two
            && self
                .members
                .iter()
                .any(|member| member.name == "systemData")
    }

    /// The sides it has a schema of its own on.
    pub(super) fn sides(&self) -> &'static [Side] {
        match self.sides {
            Sides::Two => &[Side::Shown, Side::Written],
            Sides::ShownOnly => &[Side::Shown],
            Sides::Same | Sides::WrittenOnly => &[Side::Written],
        }
    }

    pub(super) fn schema(&self, side: Side) -> Schema {
        let mut properties = Map::new();
        let mut needed: Vec<&str> = Vec::new();
        for member in &self.members {
            let schema = match side {
                Side::Shown if member.shown == Shown::Never => continue,
                Side::Shown => {
                    if matches!(member.shown, Shown::Always | Shown::Blank) {
                        needed.push(member.name);
                    }
                    match member.shown {
                        Shown::Blank => member.schema.clone().or_null(),
                        _ => member.schema.clone(),
                    }
                }
                Side::Written => match member.written {
                    Written::Required => {
                        needed.push(member.name);
                        member.to_write()
                    }
                    Written::Optional => member.to_write().or_null(),
                    Written::Ignored => anything()
                        .with("readOnly", true)
                        .about("Taken back as it was shown, and ignored."),
                },
            };
            properties.insert(member.name.to_owned(), schema.json());
        }
        let mut schema = anything()
            .with("type", "object")
            .with("properties", properties);
        if !self.about.is_empty() {
            schema = schema.about(self.about);
        }
        if !needed.is_empty() {
            schema = schema.with("required", needed);
        }
        // What we show may gain members; a client has to bear that.
        if self.open || side == Side::Written {
            schema = schema.with("additionalProperties", self.open);
        }
        schema
    }
}

/// Whether a resource's `properties` must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Properties {
    Required,
    Optional,
}

/// A resource in AMS's envelope (`dialect::Envelope`): its own shape, and that of its `properties`.
///
/// `more`: members beside `properties`.
pub(crate) fn resource(
    name: &'static str,
    about: &'static str,
    wanted: Properties,
    properties: Shape,
    more: Vec<Member>,
) -> [Shape; 2] {
    let mut members = envelope(wanted, &properties.name);
    members.extend(more);
    [Shape::two(name, about, members), properties]
}

/// What PATCH takes of a resource: `{name}Update`, and its `properties`.
pub(crate) fn update(name: &str, wanted: Properties, properties: Shape) -> [Shape; 2] {
    let members = envelope(wanted, &properties.name);
    let about = "What is left out stays as it is.";
    [
        Shape::request(format!("{name}Update"), about, members),
        properties,
    ]
}

fn envelope(wanted: Properties, properties: &str) -> Vec<Member> {
    let properties = shape(properties);
    vec![
        shown(
            "id",
            text().about("The resource's ARM path, on every surface."),
        ),
        shown("name", text()),
        shown("type", text()),
        shown("systemData", shape("SystemData")),
        match wanted {
            Properties::Required => required("properties", properties),
            Properties::Optional => defaulted("properties", properties),
        },
    ]
}

/// MK.IO's record: `metadata`, `spec` and for some `status`.
pub(crate) fn record(
    name: &'static str,
    about: &'static str,
    parts: [Vec<Member>; 3],
) -> Vec<Shape> {
    let mut members = Vec::new();
    let mut shapes = Vec::new();
    for ((part, word), inside) in [
        ("metadata", "Metadata"),
        ("spec", "Spec"),
        ("status", "Status"),
    ]
    .into_iter()
    .zip(parts)
    {
        if inside.is_empty() {
            continue;
        }
        let full = format!("{name}{word}");
        members.push(shown(part, shape(&full)));
        shapes.push(Shape::answer(full, "", inside));
    }
    shapes.push(Shape::answer(name, about, members));
    shapes
}

/// When a record was made and changed.
pub(crate) fn dates() -> [Member; 2] {
    [shown("created", time()), shown("updated", time())]
}

/// Where a list goes on.
fn next_link() -> Member {
    sometimes(
        "@odata.nextLink",
        text().about("The same request for the next page. It is missing on the last one."),
    )
}

/// A page of an AMS-like list. The name of the shape is that of its items and `Page`.
pub(crate) fn page(items: &str) -> Shape {
    Shape::answer(
        format!("{items}Page"),
        "A page of a list.",
        vec![
            shown("value", super::schema::list(shape(items))),
            next_link(),
            shown("supplemental", shape("Supplemental")),
        ],
    )
}

/// An older list of MK.IO's: `kind` and `items`, all at once. The name of the shape is its kind.
pub(crate) fn items(kind: &'static str, item: &str) -> Shape {
    Shape::answer(
        kind,
        "A whole list.",
        vec![
            shown("kind", text().with("const", Json::from(kind))),
            shown("items", super::schema::list(shape(item))),
        ],
    )
}

/// The same, page by page.
pub(crate) fn paged_items(kind: &'static str, item: &str) -> Shape {
    let mut shape = items(kind, item);
    shape.about = "A page of a list.";
    shape.members.push(next_link());
    shape
}
