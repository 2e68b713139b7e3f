//! Values between guests and PostgreSQL's binary format.

use crate::bindings::spin::postgres::postgres::{
    Column, DbDataType, DbValue, Error, ParameterValue,
};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

type Parameter = Box<dyn ToSql + Sync + Send>;
type Refusal = Box<dyn std::error::Error + Sync + Send>;

/// A parameter of a statement. Its type must be the one that the statement expects, as in Spin.
pub(super) fn parameter(value: &ParameterValue) -> Result<Parameter, Error> {
    Ok(match value {
        ParameterValue::Boolean(value) => Box::new(*value),
        ParameterValue::Int8(value) => Box::new(*value),
        ParameterValue::Int16(value) => Box::new(*value),
        ParameterValue::Int32(value) => Box::new(*value),
        ParameterValue::Int64(value) => Box::new(*value),
        ParameterValue::Floating32(value) => Box::new(*value),
        ParameterValue::Floating64(value) => Box::new(*value),
        ParameterValue::Str(text) => Box::new(text.clone()),
        ParameterValue::Binary(bytes) => Box::new(bytes.clone()),
        ParameterValue::Uuid(text) => Box::new(
            text.parse::<uuid::Uuid>()
                .map_err(|error| Error::BadParameter(error.to_string()))?,
        ),
        ParameterValue::Jsonb(json) => Box::new(Jsonb(json.clone())),
        ParameterValue::DbNull => Box::new(Null),
        other => {
            return Err(Error::BadParameter(format!(
                "this host takes no parameters of this type: {other:?}"
            )));
        }
    })
}

pub(super) fn columns(columns: &[tokio_postgres::Column]) -> Vec<Column> {
    columns
        .iter()
        .map(|column| Column {
            name: column.name().to_owned(),
            data_type: match *column.type_() {
                Type::BOOL => DbDataType::Boolean,
                Type::CHAR => DbDataType::Int8,
                Type::INT2 => DbDataType::Int16,
                Type::INT4 => DbDataType::Int32,
                Type::INT8 => DbDataType::Int64,
                Type::FLOAT4 => DbDataType::Floating32,
                Type::FLOAT8 => DbDataType::Floating64,
                Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => DbDataType::Str,
                Type::BYTEA => DbDataType::Binary,
                Type::UUID => DbDataType::Uuid,
                Type::JSONB => DbDataType::Jsonb,
                ref other => DbDataType::Other(other.name().to_owned()),
            },
        })
        .collect()
}

/// A row and about how much memory it takes.
pub(super) fn row(row: &Row) -> Result<(Vec<DbValue>, usize), Error> {
    let mut values = Vec::with_capacity(row.len());
    let mut bytes = 0;
    for at in 0..row.len() {
        let value = value(row, at)
            .map_err(|error| Error::ValueConversionFailed(format!("column {at}: {error}")))?;
        bytes += size_of::<DbValue>()
            + match &value {
                DbValue::Str(text) | DbValue::Uuid(text) => text.len(),
                DbValue::Binary(bytes) | DbValue::Jsonb(bytes) | DbValue::Unsupported(bytes) => {
                    bytes.len()
                }
                _ => 0,
            };
        values.push(value);
    }
    Ok((values, bytes))
}

fn value(row: &Row, at: usize) -> Result<DbValue, tokio_postgres::Error> {
    fn some<T>(value: Option<T>, wrap: fn(T) -> DbValue) -> DbValue {
        value.map_or(DbValue::DbNull, wrap)
    }
    Ok(match *row.columns()[at].type_() {
        Type::BOOL => some(row.try_get(at)?, DbValue::Boolean),
        Type::CHAR => some(row.try_get(at)?, DbValue::Int8),
        Type::INT2 => some(row.try_get(at)?, DbValue::Int16),
        Type::INT4 => some(row.try_get(at)?, DbValue::Int32),
        Type::INT8 => some(row.try_get(at)?, DbValue::Int64),
        Type::FLOAT4 => some(row.try_get(at)?, DbValue::Floating32),
        Type::FLOAT8 => some(row.try_get(at)?, DbValue::Floating64),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => {
            some(row.try_get(at)?, DbValue::Str)
        }
        Type::BYTEA => some(row.try_get(at)?, DbValue::Binary),
        Type::UUID => some(row.try_get::<_, Option<uuid::Uuid>>(at)?, |id| {
            DbValue::Uuid(id.to_string())
        }),
        Type::JSONB => some(row.try_get::<_, Option<Jsonb>>(at)?, |json| {
            DbValue::Jsonb(json.0)
        }),
        Type::VOID => DbValue::DbNull,
        _ => some(row.try_get::<_, Option<Raw>>(at)?, |raw| {
            DbValue::Unsupported(raw.0)
        }),
    })
}

/// A null of any type.
#[derive(Debug)]
struct Null;

impl ToSql for Null {
    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> Result<IsNull, Refusal> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// JSON text; on the wire behind a byte that says its version.
#[derive(Debug)]
struct Jsonb(Vec<u8>);

const JSONB_VERSION: u8 = 1;

impl ToSql for Jsonb {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Refusal> {
        out.extend_from_slice(&[JSONB_VERSION]);
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::JSONB
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Jsonb {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Refusal> {
        match raw.split_first() {
            Some((&JSONB_VERSION, json)) => Ok(Self(json.to_vec())),
            _ => Err("an unknown version of jsonb".into()),
        }
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::JSONB
    }
}

/// What a value looks like on the wire.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Refusal> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
