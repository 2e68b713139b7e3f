//! Filtered, ordered and paged lists.
//!
//! A list is described by names that clients know (`properties/created`); each entity's table of [`Field`]s says which of
//! them exist and which column they mean, so nothing a client writes reaches the SQL text.

use jiff::Timestamp;

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::sql::{Row, Sql, Value};

/// Items on a page unless the client asks for fewer, and at most.
pub const PAGE: u32 = 1000;

/// What a list shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    pub filter: Option<Filter>,
    pub order: Option<Order>,
    /// All of them must hold.
    pub labels: Vec<LabelTest>,
    /// Where the page starts.
    pub start: Start,
    /// Page size; capped at [`PAGE`], which is also the default.
    pub top: Option<u32>,
    /// Whether to count the whole (filtered) collection.
    pub count: bool,
}

/// A condition on an item's labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelTest {
    /// It has a label of this name.
    Has(String),
    /// It has the label with exactly this value.
    Equals { label: String, value: String },
    /// It has the label, and the value contains this text, without regard to the case of ASCII letters.
    Contains { label: String, text: String },
}

/// Where a page starts.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Start {
    #[default]
    First,
    /// After so many items.
    Offset(u32),
    /// After the item with this [`Position`].
    After(Position),
}

/// Identifies an item's place in an ordered list: the value it is ordered by, and what breaks ties.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    pub value: Value,
    pub tie: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub field: String,
    pub descending: bool,
}

/// A condition on items.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    Compare {
        field: String,
        is: Comparison,
        to: Literal,
    },
    /// The text field contains, starts with or ends with the text, without regard to the case of ASCII letters.
    Matches {
        field: String,
        place: Place,
        text: String,
    },
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    fn sql(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Anywhere,
    Start,
    End,
}

/// A value in a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    Null,
    Text(String),
    Time(Timestamp),
    Integer(i64),
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    Text,
    /// A text that may be missing. It is ordered and compared as if it were empty, and `null` finds only missing ones.
    OptionalText,
    /// A UUID, compared without regard to case.
    Uuid,
    /// An instant.
    Time,
    /// An instant that may be missing: then it counts as the end of time, as AMS shows it.
    OptionalTime,
    /// A whole number that may be missing. It is ordered and compared as if it were 0.
    Integer,
}

/// A field that lists can be filtered and ordered by.
#[derive(Debug)]
pub struct Field {
    path: &'static str,
    column: &'static str,
    kind: FieldKind,
}

impl Field {
    /// `path`: as clients write it; `column`: in the entity's table.
    pub const fn new(path: &'static str, column: &'static str, kind: FieldKind) -> Self {
        Self { path, column, kind }
    }

    fn expression(&self) -> String {
        match self.kind {
            // The bare column, so that an index on it gives a page in order and the reading stops at its end.
            FieldKind::Text | FieldKind::Uuid | FieldKind::Time => self.column.to_owned(),
            // A comparison with NULL is neither true nor false, so items would belong to no page and match no condition.
            FieldKind::OptionalText => format!("coalesce({}, '')", self.column),
            FieldKind::OptionalTime => format!("coalesce({}, {END_OF_TIME})", self.column),
            FieldKind::Integer => format!("coalesce({}, 0)", self.column),
        }
    }

    /// Whether the field can have this value in a list.
    fn may_hold(&self, value: &Value) -> bool {
        match self.kind {
            // No database has a text with a zero in it.
            FieldKind::Text | FieldKind::OptionalText | FieldKind::Uuid => {
                matches!(value, Value::Text(text) if !text.contains('\0'))
            }
            FieldKind::Time | FieldKind::OptionalTime | FieldKind::Integer => {
                matches!(value, Value::Integer(_))
            }
        }
    }
}

/// The last instant there is here ([`Timestamp::MAX`]) in microseconds, which is what the end of the year 9999 that is shown is
/// read back as.
pub const END_OF_TIME: i64 = 253_402_207_200_999_999;

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Items before the first one of the page, where the page was asked for by offset.
    pub offset: u32,
    /// Of the whole collection, if asked for.
    pub total: Option<u32>,
    /// The last item's place, if there is another page.
    pub next: Option<Position>,
}

impl<T> Page<T> {
    /// The page of what `each` makes of its items.
    pub fn each<R, E>(self, each: impl FnMut(T) -> Result<R, E>) -> Result<Page<R>, E> {
        Ok(Page {
            items: self.items.into_iter().map(each).collect::<Result<_, _>>()?,
            offset: self.offset,
            total: self.total,
            next: self.next,
        })
    }
}

/// Lists the items of `entity` within `scope` (columns that must equal).
///
/// Errors: [`CatalogError::Invalid`] naming `$filter`, `$orderby` or `$skiptoken`.
pub(crate) async fn list<S: Sql, T>(
    sql: &S,
    entity: &Entity<T>,
    scope: &[(&str, Value)],
    listing: &Listing,
) -> Result<Page<T>, CatalogError> {
    let scope: Vec<_> = scope
        .iter()
        .map(|(column, value)| (*column, Comparison::Equal, value.clone()))
        .collect();
    list_where(sql, entity, &scope, listing).await
}

/// As [`list`], of the items whose columns compare so.
pub(crate) async fn list_where<S: Sql, T>(
    sql: &S,
    entity: &Entity<T>,
    scope: &[(&str, Comparison, Value)],
    listing: &Listing,
) -> Result<Page<T>, CatalogError> {
    let mut query = Builder::new(entity);
    for (column, is, value) in scope {
        query.must(column, *is, value.clone());
    }
    page(sql, entity, query, listing, Ok).await
}

/// As [`list`], of what `each` makes of the items. The server counts the whole meanwhile, where there is a server.
pub(crate) async fn list_each<S: Sql, T, R, E: From<CatalogError>>(
    sql: &S,
    entity: &Entity<T>,
    scope: &[(&str, Value)],
    listing: &Listing,
    each: impl FnMut(T) -> Result<R, E>,
) -> Result<Page<R>, E> {
    let mut query = Builder::new(entity);
    for (column, value) in scope {
        query.must(column, Comparison::Equal, value.clone());
    }
    page(sql, entity, query, listing, each).await
}

/// As [`list`], of the items of which a column has one of some values.
pub(crate) async fn list_within<S: Sql, T>(
    sql: &S,
    entity: &Entity<T>,
    (column, values): (&str, Vec<Value>),
    listing: &Listing,
) -> Result<Page<T>, CatalogError> {
    let mut query = Builder::new(entity);
    let parameters: Vec<_> = values.into_iter().map(|value| query.bind(value)).collect();
    query.conditions.push(if parameters.is_empty() {
        "1 = 0".to_owned()
    } else {
        format!("{column} IN ({})", parameters.join(", "))
    });
    page(sql, entity, query, listing, Ok).await
}

async fn page<S: Sql, T, R, E: From<CatalogError>>(
    sql: &S,
    entity: &Entity<T>,
    mut query: Builder,
    listing: &Listing,
    mut each: impl FnMut(T) -> Result<R, E>,
) -> Result<Page<R>, E> {
    if let Some(filter) = &listing.filter {
        let condition = query.condition(filter)?;
        query.conditions.push(condition);
    }
    for test in &listing.labels {
        let condition = query.label(test)?;
        query.conditions.push(condition);
    }
    let counting = listing.count.then(|| {
        (
            format!(
                "SELECT count(*) AS total FROM {}{}",
                entity.table,
                query.filters()
            ),
            query.params.clone(),
        )
    });
    let tie = &entity.tie;
    let (field, descending) = match &listing.order {
        Some(order) => (query.field(&order.field, "$orderby")?, order.descending),
        None => (entity.fields.first().unwrap_or(tie), false),
    };
    let expression = field.expression();
    let (direction, beyond) = if descending {
        ("DESC", "<")
    } else {
        ("ASC", ">")
    };
    let mut offset = 0;
    match &listing.start {
        Start::First => {}
        Start::Offset(skipped) => offset = *skipped,
        Start::After(position) => {
            // A server would refuse the comparison itself.
            if !(field.may_hold(&position.value) && tie.may_hold(&position.tie)) {
                let message = "is not one that this service gave out for this order";
                return Err(CatalogError::invalid("$skiptoken", message).into());
            }
            let value = query.bind(position.value.clone());
            let after = query.bind(position.tie.clone());
            query.conditions.push(format!(
                "({expression} {beyond} {value} OR ({expression} = {value} AND {} {beyond} {after}))",
                tie.column
            ));
        }
    }
    let top = listing.top.unwrap_or(PAGE).clamp(1, PAGE);
    // A place is told by columns that are selected anyway, mostly.
    let mut columns = entity.columns.to_owned();
    let mut place = |expression: &str, name: &'static str| {
        let mut selected = entity.columns.split(", ");
        // One of a join goes by another name in the answer.
        let selected = selected.find(|one| *one == expression && !one.contains('.'));
        selected.unwrap_or_else(|| {
            columns.push_str(&format!(", {expression} AS {name}"));
            name
        })
    };
    let (value, last) = (
        place(&expression, "order_value"),
        place(tie.column, "order_tie"),
    );
    let text = format!(
        "SELECT {columns} FROM {}{} ORDER BY {expression} {direction}, {} {direction} LIMIT {} OFFSET {offset}",
        entity.table,
        query.filters(),
        tie.column,
        top.saturating_add(1),
    );
    let mut rows = sql
        .query(&text, &query.params)
        .await
        .map_err(CatalogError::from)?;
    let page = usize::try_from(top).unwrap_or(usize::MAX);
    let more = rows.rows.len() > page;
    rows.rows.truncate(page);
    let next = if more {
        let end = rows.iter().last();
        end.map(|row| position(&row, value, last)).transpose()?
    } else {
        None
    };
    let length = u32::try_from(rows.rows.len()).unwrap_or(u32::MAX);
    let mut read = || {
        let items = rows.iter().map(|row| each((entity.read)(&row)?));
        items.collect::<Result<Vec<_>, E>>()
    };
    let (total, items) = match counting {
        None => (None, read()),
        // The list ends with this page, so its length is known.
        Some(_) if !more && listing.start == Start::First => (Some(length), read()),
        Some(_) if !more && length > 0 && matches!(listing.start, Start::Offset(_)) => {
            (Some(offset.saturating_add(length)), read())
        }
        Some((text, params)) => {
            let (counted, items) = sql.query_during(&text, &params, read).await;
            (Some(counted.map_err(CatalogError::from)?.total()?), items)
        }
    };
    Ok(Page {
        items: items?,
        offset,
        total,
        next,
    })
}

/// Where a row is, by these two columns.
fn position(row: &Row<'_>, value: &str, tie: &str) -> Result<Position, CatalogError> {
    let read = |column: &str| -> Result<Value, CatalogError> {
        Ok(match row.opt_integer(column) {
            Ok(number) => number.into(),
            Err(_) => row.opt_text(column)?.into(),
        })
    };
    Ok(Position {
        value: read(value)?,
        tie: read(tie)?,
    })
}

struct Builder {
    many: &'static str,
    fields: &'static [Field],
    labels: Option<&'static str>,
    params: Vec<Value>,
    conditions: Vec<String>,
}

impl Builder {
    fn new<T>(entity: &Entity<T>) -> Self {
        Self {
            many: entity.many,
            fields: entity.fields,
            labels: entity.labels,
            params: Vec::new(),
            conditions: Vec::new(),
        }
    }

    /// Of items whose column compares so.
    fn must(&mut self, column: &str, is: Comparison, value: Value) {
        let parameter = self.bind(value);
        self.conditions
            .push(format!("{column} {} {parameter}", is.sql()));
    }

    fn field(&self, path: &str, parameter: &str) -> Result<&'static Field, CatalogError> {
        self.fields
            .iter()
            .find(|field| field.path.eq_ignore_ascii_case(path))
            .ok_or_else(|| {
                let known: Vec<_> = self.fields.iter().map(|field| field.path).collect();
                CatalogError::invalid(
                    parameter,
                    format!(
                        "'{path}' is not a field of {} that can be used here; these are: {}",
                        self.many,
                        known.join(", ")
                    ),
                )
            })
    }

    fn bind(&mut self, value: Value) -> String {
        self.params.push(value);
        format!("?{}", self.params.len())
    }

    fn filters(&self) -> String {
        if self.conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.conditions.join(" AND "))
        }
    }

    fn label(&mut self, test: &LabelTest) -> Result<String, CatalogError> {
        let labels = self.labels.ok_or_else(|| {
            CatalogError::invalid("$label", format!("{} have no labels", self.many))
        })?;
        Ok(match test {
            LabelTest::Has(label) => {
                let label = self.bind(label.into());
                format!("EXISTS ({labels} AND label = {label})")
            }
            LabelTest::Equals { label, value } => {
                let (label, value) = (self.bind(label.into()), self.bind(value.into()));
                format!("EXISTS ({labels} AND label = {label} AND value = {value})")
            }
            LabelTest::Contains { label, text } => {
                let label = self.bind(label.into());
                let pattern = self.bind(pattern(Place::Anywhere, text).into());
                format!(
                    "EXISTS ({labels} AND label = {label} AND value LIKE {pattern} ESCAPE '\\')"
                )
            }
        })
    }

    fn condition(&mut self, filter: &Filter) -> Result<String, CatalogError> {
        Ok(match filter {
            Filter::And(a, b) => format!("({} AND {})", self.condition(a)?, self.condition(b)?),
            Filter::Or(a, b) => format!("({} OR {})", self.condition(a)?, self.condition(b)?),
            Filter::Not(inner) => format!("NOT ({})", self.condition(inner)?),
            Filter::Compare { field, is, to } => {
                let field = self.field(field, "$filter")?;
                if *to == Literal::Null {
                    return match is {
                        Comparison::Equal => Ok(format!("{} IS NULL", field.column)),
                        Comparison::NotEqual => Ok(format!("{} IS NOT NULL", field.column)),
                        _ => Err(CatalogError::invalid(
                            "$filter",
                            "null can only be compared with eq and ne",
                        )),
                    };
                }
                let value = bound(field, to)?;
                let parameter = self.bind(value);
                format!("{} {} {parameter}", field.expression(), is.sql())
            }
            Filter::Matches { field, place, text } => {
                let field = self.field(field, "$filter")?;
                if !matches!(field.kind, FieldKind::Text | FieldKind::OptionalText) {
                    return Err(CatalogError::invalid(
                        "$filter",
                        format!("'{}' is not a text field", field.path),
                    ));
                }
                let parameter = self.bind(pattern(*place, text).into());
                let text = field.expression();
                // On PostgreSQL the same in the same case finds most of what is found in half the time: the other one makes
                // lower-case copies of both for every row. The backslash escapes there without being named.
                format!("(/*pg {text} like {parameter} OR */{text} LIKE {parameter} ESCAPE '\\')")
            }
        })
    }
}

/// A `LIKE` pattern in which nothing of `text` is a wildcard. Its escape character is the backslash.
fn pattern(place: Place, text: &str) -> String {
    let mut pattern = String::new();
    if place != Place::Start {
        pattern.push('%');
    }
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    if place != Place::End {
        pattern.push('%');
    }
    pattern
}

/// The literal as the field's column holds it.
fn bound(field: &Field, literal: &Literal) -> Result<Value, CatalogError> {
    let mismatch = |wanted: &str| {
        CatalogError::invalid(
            "$filter",
            format!("'{}' must be compared with {wanted}", field.path),
        )
    };
    match (field.kind, literal) {
        (FieldKind::Text | FieldKind::OptionalText, Literal::Text(text)) => Ok(text.into()),
        (FieldKind::Uuid, Literal::Text(text)) => Ok(text.to_ascii_lowercase().into()),
        (FieldKind::Time | FieldKind::OptionalTime, Literal::Time(time)) => Ok((*time).into()),
        (FieldKind::Time | FieldKind::OptionalTime, Literal::Text(text)) => {
            let time: Timestamp = text.parse().map_err(|_| mismatch("an instant in UTC"))?;
            Ok(time.into())
        }
        (FieldKind::Integer, Literal::Integer(number)) => Ok((*number).into()),
        (FieldKind::Integer, _) => Err(mismatch("a whole number")),
        (FieldKind::Text | FieldKind::OptionalText | FieldKind::Uuid, _) => {
            Err(mismatch("a text in single quotes"))
        }
        (FieldKind::Time | FieldKind::OptionalTime, _) => Err(mismatch("an instant in UTC")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_time_is_the_last_instant() {
        assert_eq!(Timestamp::MAX.as_microsecond(), END_OF_TIME);
    }
}
