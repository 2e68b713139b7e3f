//! The query string of a request, and paging.
//!
//! A page ends with `@odata.nextLink`, the same request with another `$skiptoken`. On the ARM surface the token stands for
//! the last item shown, so a page neither repeats nor skips items when others are added meanwhile. On MK.IO's it is the
//! number of items shown so far, because clients compute it themselves.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_catalog::Value;
use headwater_catalog::query::{LabelTest, Listing, PAGE, Page, Position, Start};
use serde_json::{Map, Value as Json, json};

use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::odata;

/// Label conditions in one query.
pub(crate) const MAX_LABELS: usize = 32;

/// Decoded parameters in the order in which they came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(raw: Option<&str>) -> Self {
        Self(
            form_urlencoded::parse(raw.unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// The first parameter of that name, compared without regard to case, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A switch. The SDKs write True and true.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::invalid(name, "must be true or false")),
        }
    }

    /// What a list call asks for.
    pub(crate) fn listing(&self, dialect: Dialect) -> Result<Listing, ApiError> {
        let top = match self.get("$top") {
            None => None,
            Some(text) => Some(
                text.parse::<u32>()
                    .ok()
                    .filter(|top| *top > 0)
                    .ok_or_else(|| ApiError::invalid("$top", "must be a positive number"))?
                    .min(PAGE),
            ),
        };
        let start = match self.get("$skiptoken") {
            None => Start::First,
            Some(token) if dialect == Dialect::Arm => Start::After(decode_position(token)?),
            Some(token) => Start::Offset(token.parse().map_err(|_| bad_token())?),
        };
        Ok(Listing {
            filter: self.get("$filter").map(odata::filter).transpose()?,
            order: self.get("$orderby").map(odata::orderby).transpose()?,
            labels: self.labels()?,
            start,
            top,
            count: dialect != Dialect::Arm,
        })
    }

    /// MK.IO's label queries: `$label_key=key`, `$label=key=value`, `$label=key~part`, any number of them.
    fn labels(&self) -> Result<Vec<LabelTest>, ApiError> {
        let mut tests = Vec::new();
        for (name, value) in &self.0 {
            if name.eq_ignore_ascii_case("$label_key") {
                tests.push(LabelTest::Has(value.clone()));
            } else if name.eq_ignore_ascii_case("$label") {
                let bad = || ApiError::invalid("$label", "must be 'key=value' or 'key~part'");
                let at = value.find(['=', '~']).ok_or_else(bad)?;
                let (label, rest) = value.split_at_checked(at).ok_or_else(bad)?;
                let label = label.to_owned();
                tests.push(match rest.strip_prefix('=') {
                    Some(exact) => LabelTest::Equals {
                        label,
                        value: exact.to_owned(),
                    },
                    None => LabelTest::Contains {
                        label,
                        text: rest.trim_start_matches('~').to_owned(),
                    },
                });
            }
        }
        if tests.len() > MAX_LABELS {
            return Err(ApiError::invalid(
                "$label",
                format!("at most {MAX_LABELS} conditions"),
            ));
        }
        Ok(tests)
    }

    /// The same query with another `$skiptoken`.
    fn continued(&self, token: &str) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        for (key, value) in &self.0 {
            if !key.eq_ignore_ascii_case("$skiptoken") {
                text.append_pair(key, value);
            }
        }
        text.append_pair("$skiptoken", token);
        // Clients compare and log these names with a plain dollar sign.
        text.finish().replace("%24", "$")
    }
}

fn bad_token() -> ApiError {
    ApiError::invalid("$skiptoken", "is not one that this service gave out")
}

fn encode_position(position: &Position) -> String {
    let json = |value: &Value| match value {
        Value::Integer(number) => json!(number),
        Value::Text(text) => json!(text),
        _ => Json::Null,
    };
    URL_SAFE_NO_PAD.encode(json!([json(&position.value), json(&position.tie)]).to_string())
}

fn decode_position(token: &str) -> Result<Position, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad_token())?;
    let (value, tie): (Json, Json) = serde_json::from_slice(&bytes).map_err(|_| bad_token())?;
    let value_of = |json: Json| match json {
        Json::Null => Ok(Value::Null),
        Json::String(text) => Ok(Value::Text(text)),
        Json::Number(number) => number.as_i64().map(Value::Integer).ok_or_else(bad_token),
        _ => Err(bad_token()),
    };
    Ok(Position {
        value: value_of(value)?,
        tie: value_of(tie)?,
    })
}

/// A list as the surface shows it. `kind`: MK.IO's word for the items; `url`: of the request without its query.
pub(crate) fn render<T>(
    dialect: Dialect,
    kind: &str,
    url: &Url<'_>,
    page: Page<T>,
    item: impl Fn(T) -> Json,
) -> Json {
    let mut body = frame(dialect, kind, url, &page);
    body.insert("value".into(), page.items.into_iter().map(item).collect());
    Json::Object(body)
}

/// Items of a list as text, one after the other. Each is gone before the next is made: a page of a thousand is much less work for
/// the allocator.
#[derive(Default)]
pub(crate) struct Items {
    text: Vec<u8>,
}

impl Items {
    pub(crate) fn push(&mut self, item: &Json) {
        if !self.text.is_empty() {
            self.text.push(b',');
        }
        // Values have nothing that cannot be written.
        let _ = serde_json::to_writer(&mut self.text, item);
    }
}

/// As [`render`], as the text that it comes to. `page`: of `items`, one for one.
pub(crate) fn write<T>(
    dialect: Dialect,
    kind: &str,
    url: &Url<'_>,
    page: &Page<T>,
    items: &Items,
) -> Vec<u8> {
    let frame = frame(dialect, kind, url, page);
    // As of the items.
    let mut text = serde_json::to_vec(&frame).unwrap_or_default();
    text.pop();
    if !frame.is_empty() {
        text.push(b',');
    }
    // The last of the members by name.
    text.extend_from_slice(br#""value":["#);
    text.extend_from_slice(&items.text);
    text.extend_from_slice(b"]}");
    text
}

/// What a list says of itself beside its items.
fn frame<T>(dialect: Dialect, kind: &str, url: &Url<'_>, page: &Page<T>) -> Map<String, Json> {
    let offset = page.offset;
    let records = u32::try_from(page.items.len()).unwrap_or(u32::MAX);
    let end = offset.saturating_add(records);
    let mut body = Map::new();
    if let Some(position) = &page.next {
        let token = if dialect == Dialect::Arm {
            encode_position(position)
        } else {
            end.to_string()
        };
        body.insert("@odata.nextLink".into(), link(dialect, url, &token).into());
    }
    if dialect != Dialect::Arm {
        let total = page.total.unwrap_or(end);
        body.insert(
            "supplemental".into(),
            json!({
                "count": records, "kind": kind, "operation": "list",
                "pagination": {"start": offset, "end": end, "records": records, "total": total},
            }),
        );
    }
    body
}

/// The address of the page that `token` stands for: relative where MK.IO's older client puts the host in front itself.
pub(crate) fn link(dialect: Dialect, url: &Url<'_>, token: &str) -> String {
    let base = if dialect == Dialect::MkIoOlder {
        ""
    } else {
        url.origin
    };
    format!("{base}{}?{}", url.path, url.query.continued(token))
}

/// Where a list was asked for.
pub(crate) struct Url<'a> {
    /// Scheme and authority.
    pub origin: &'a str,
    pub path: &'a str,
    pub query: &'a Query,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_the_round_trip_and_junk_does_not() {
        for position in [
            Position {
                value: "größe".into(),
                tie: "größe".into(),
            },
            Position {
                value: 1_700_000_000_000_000_i64.into(),
                tie: 7_i64.into(),
            },
        ] {
            assert_eq!(
                decode_position(&encode_position(&position)).unwrap(),
                position
            );
        }
        for junk in ["", "!", "AAAA", "bnVsbA", "eyJhIjoxfQ"] {
            assert!(decode_position(junk).is_err(), "{junk}");
        }
    }

    #[test]
    fn a_written_list_is_the_rendered_one() {
        let query = Query::parse(Some("$top=2"));
        let url = Url {
            origin: "http://here",
            path: "/a",
            query: &query,
        };
        let position = Position {
            value: "b".into(),
            tie: "b".into(),
        };
        let item = |name: &str| json!({"name": name, "a": null});
        for dialect in [Dialect::Arm, Dialect::MkIo, Dialect::MkIoOlder] {
            for items in [vec![], vec!["\"a\""], vec!["a", "ü"]] {
                for next in [None, Some(position.clone())] {
                    let page = Page {
                        items: items.clone(),
                        offset: 2,
                        total: Some(7),
                        next,
                    };
                    let rendered = render(dialect, "Asset", &url, page.clone(), item);
                    let mut items = Items::default();
                    for name in &page.items {
                        items.push(&item(name));
                    }
                    let written = write(dialect, "Asset", &url, &page, &items);
                    assert_eq!(String::from_utf8(written).unwrap(), rendered.to_string());
                }
            }
        }
    }

    #[test]
    fn links_keep_the_query() {
        let query = Query::parse(Some(
            "api-version=2022-08-01&$filter=name%20eq%20%27a%27&$skiptoken=old",
        ));
        assert_eq!(query.get("$FILTER"), Some("name eq 'a'"));
        assert_eq!(
            query.continued("new"),
            "api-version=2022-08-01&$filter=name+eq+%27a%27&$skiptoken=new"
        );
    }

    #[test]
    fn labels_as_mkio_writes_them() {
        let query = Query::parse(Some("$label_key=team&$label=run=a=b&$label=team~re"));
        assert_eq!(
            query.labels().unwrap(),
            [
                LabelTest::Has("team".into()),
                LabelTest::Equals {
                    label: "run".into(),
                    value: "a=b".into()
                },
                LabelTest::Contains {
                    label: "team".into(),
                    text: "re".into()
                },
            ]
        );
        assert!(Query::parse(Some("$label=team")).labels().is_err());
    }

    #[test]
    fn paging_parameters_are_checked() {
        let listing = |raw: &str, dialect| Query::parse(Some(raw)).listing(dialect);
        assert_eq!(listing("$top=5000", Dialect::Arm).unwrap().top, Some(1000));
        for raw in ["$top=0", "$top=-1", "$top=x", "$top=99999999999"] {
            assert_eq!(
                listing(raw, Dialect::Arm).unwrap_err().field.as_deref(),
                Some("$top"),
                "{raw}"
            );
        }
        assert_eq!(
            listing("$skiptoken=20", Dialect::MkIo).unwrap().start,
            Start::Offset(20)
        );
        assert!(listing("$skiptoken=20", Dialect::Arm).is_err());
    }
}
