//! What the kinds of resources have in common: a table with a name per project, a reader of rows, a way to list.
//!
//! Each module describes its kind by one [`Entity`] and leaves finding, listing and deleting by name to it. What a kind
//! checks or takes along beyond that is the module's own.

use crate::error::CatalogError;
use crate::ids::ProjectId;
use crate::query::{self, Field, Listing, Page};
use crate::sql::{Row, Rows, Sql, Value};

/// One kind of resource.
#[derive(Debug)]
pub(crate) struct Entity<T: 'static> {
    /// In the singular and as a sentence begins, for messages.
    pub(crate) one: &'static str,
    /// In the plural, for messages.
    pub(crate) many: &'static str,
    /// It has the columns `project_id` and `name`. Or a query in its place, for a kind that is not deleted by
    /// [`Entity::delete`].
    pub(crate) table: &'static str,
    /// What `read` needs, separated by a comma and a space.
    pub(crate) columns: &'static str,
    pub(crate) read: fn(&Row<'_>) -> Result<T, CatalogError>,
    /// What no two items of a list share. Its path is not used.
    pub(crate) tie: Field,
    /// What lists can be filtered and ordered by. The first is the default order.
    pub(crate) fields: &'static [Field],
    /// The condition under which an item has labels, as the beginning of an `EXISTS`; its table has the columns `label`
    /// and `value`. `None` for kinds that carry none.
    pub(crate) labels: Option<&'static str>,
}

impl<T> Entity<T> {
    /// One item, if it exists.
    pub(crate) async fn find<S: Sql>(
        &self,
        sql: &S,
        project: &ProjectId,
        name: &str,
    ) -> Result<Option<T>, CatalogError> {
        let (columns, table) = (self.columns, self.table);
        let rows = sql
            .query(
                &format!("SELECT {columns} FROM {table} WHERE project_id = ?1 AND name = ?2"),
                &[project.into(), name.into()],
            )
            .await?;
        rows.first().map(|row| (self.read)(&row)).transpose()
    }

    /// One item.
    ///
    /// Errors: [`CatalogError::NotFound`].
    pub(crate) async fn get<S: Sql>(
        &self,
        sql: &S,
        project: &ProjectId,
        name: &str,
    ) -> Result<T, CatalogError> {
        self.find(sql, project, name)
            .await?
            .ok_or_else(|| CatalogError::not_found(self.one, name))
    }

    /// The item that a statement returned.
    ///
    /// Errors: [`CatalogError::NotFound`] if it returned none.
    pub(crate) fn returned(&self, rows: &Rows, name: &str) -> Result<T, CatalogError> {
        let row = rows
            .first()
            .ok_or_else(|| CatalogError::not_found(self.one, name))?;
        (self.read)(&row)
    }

    /// All items within `scope` (columns that must equal), by name.
    pub(crate) async fn all<S: Sql>(
        &self,
        sql: &S,
        scope: &[(&str, Value)],
    ) -> Result<Vec<T>, CatalogError> {
        let (columns, table) = (self.columns, self.table);
        let conditions: Vec<_> = (1..)
            .zip(scope)
            .map(|(number, (column, _))| format!("{column} = ?{number}"))
            .collect();
        let values: Vec<_> = scope.iter().map(|(_, value)| value.clone()).collect();
        let rows = sql
            .query(
                &format!(
                    "SELECT {columns} FROM {table} WHERE {} ORDER BY name",
                    conditions.join(" AND ")
                ),
                &values,
            )
            .await?;
        rows.iter().map(|row| (self.read)(&row)).collect()
    }

    /// A page of a project's items.
    ///
    /// Errors: [`CatalogError::Invalid`] naming `$filter` or `$orderby`.
    pub(crate) async fn list<S: Sql>(
        &self,
        sql: &S,
        project: &ProjectId,
        listing: &Listing,
    ) -> Result<Page<T>, CatalogError> {
        query::list(sql, self, &[("project_id", project.into())], listing).await
    }

    /// As [`Self::list`], of what `each` makes of the items.
    pub(crate) async fn list_each<S: Sql, R, E: From<CatalogError>>(
        &self,
        sql: &S,
        project: &ProjectId,
        listing: &Listing,
        each: impl FnMut(T) -> Result<R, E>,
    ) -> Result<Page<R>, E> {
        let scope = [("project_id", project.into())];
        query::list_each(sql, self, &scope, listing, each).await
    }

    /// Deletes an item's row. Says whether there was one.
    pub(crate) async fn delete<S: Sql>(
        &self,
        sql: &S,
        project: &ProjectId,
        name: &str,
    ) -> Result<bool, CatalogError> {
        let table = self.table;
        let rows = sql
            .query(
                &format!("DELETE FROM {table} WHERE project_id = ?1 AND name = ?2 RETURNING name"),
                &[project.into(), name.into()],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// The columns in a join, each under its own name.
    pub(crate) fn columns_of(&self, alias: &str) -> String {
        let columns: Vec<_> = self
            .columns
            .split(", ")
            .map(|column| format!("{alias}.{column}"))
            .collect();
        columns.join(", ")
    }
}
