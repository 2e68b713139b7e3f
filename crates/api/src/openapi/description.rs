//! What the route table does not know of an operation, and the words to say it in.

use serde_json::Value as Json;

use super::schema::{Schema, flag, list, shape};

/// What the route table does not know of an operation.
#[derive(Debug, Clone)]
pub(super) struct Description {
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// More than one line can say; may be empty.
    pub(super) about: &'static str,
    pub(super) listing: Option<Listing>,
    /// Query parameters beyond those of lists.
    pub(super) query: Vec<(&'static str, Schema)>,
    pub(super) body: Option<Body>,
    /// What a success holds; not there for the codes that never hold anything.
    pub(super) answer: Option<Schema>,
    /// A media type of text that a success may have instead.
    pub(super) answer_text: Option<&'static str>,
    pub(super) looks: Looks,
}

/// Where an operation looks for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looks {
    InTheCatalog,
    IntoStorage,
}

/// The query parameters that a list honours.
#[derive(Debug, Clone, Copy)]
pub(super) enum Listing {
    /// `$top`, `$skiptoken`, and `$filter` and `$orderby` over the fields of such name.
    Fields(&'static [&'static str]),
    /// These, and `$label` and `$label_key`.
    FieldsAndLabels(&'static [&'static str]),
}

/// What a request holds.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) media_type: &'static str,
    pub(super) schema: Schema,
    /// By name. Each of them is tried by a test.
    pub(super) examples: Vec<(&'static str, Json)>,
    /// Whether a request without it is refused.
    pub(super) needed: bool,
}

pub(super) fn on(tag: &'static str, summary: &'static str) -> Description {
    Description {
        tag,
        summary,
        about: "",
        listing: None,
        query: Vec::new(),
        body: None,
        answer: None,
        answer_text: None,
        looks: Looks::InTheCatalog,
    }
}

impl Description {
    pub(super) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    pub(super) fn answers(mut self, name: &str) -> Self {
        self.answer = Some(shape(name));
        self
    }

    pub(super) fn lists(mut self, items: &str, listing: Listing) -> Self {
        self.listing = Some(listing);
        self.answers(&format!("{items}Page"))
    }

    pub(super) fn takes<const N: usize>(
        self,
        name: &str,
        examples: [(&'static str, Json); N],
    ) -> Self {
        self.takes_schema(shape(name), examples)
    }

    fn takes_schema<const N: usize>(
        mut self,
        schema: Schema,
        examples: [(&'static str, Json); N],
    ) -> Self {
        self.body = Some(Body {
            media_type: "application/json",
            schema,
            examples: Vec::from(examples),
            needed: true,
        });
        self
    }

    /// Takes a list, at most so many.
    pub(super) fn takes_list_of<const N: usize>(
        self,
        name: &str,
        most: usize,
        examples: [(&'static str, Json); N],
    ) -> Self {
        self.takes_schema(list(shape(name)).at_most(most as u64), examples)
    }

    /// Takes one shape and answers another.
    pub(super) fn puts_as<const N: usize>(
        self,
        taken: &str,
        answered: &str,
        examples: [(&'static str, Json); N],
    ) -> Self {
        self.takes(taken, examples).answers(answered)
    }

    /// Does without what it takes.
    pub(super) fn body_may_be_missing(mut self) -> Self {
        if let Some(body) = &mut self.body {
            body.needed = false;
        }
        self
    }

    /// Takes what it answers.
    pub(super) fn puts<const N: usize>(
        self,
        name: &str,
        examples: [(&'static str, Json); N],
    ) -> Self {
        self.takes(name, examples).answers(name)
    }

    /// Starts what it creates, if it is asked to.
    pub(super) fn may_start(mut self, about: &'static str) -> Self {
        self.query = vec![("autoStart", flag().with("default", false).about(about))];
        self
    }

    /// Answers in this type of text as well, if it is asked to.
    pub(super) fn or_text(mut self, media_type: &'static str) -> Self {
        self.answer_text = Some(media_type);
        self
    }

    /// Looks at what is in storage, which need not be as it should.
    pub(super) fn looks_into_storage(mut self) -> Self {
        self.looks = Looks::IntoStorage;
        self
    }
}
