//! `spin:variables` 3.0.0: a component's own variables, expanded once at load.

use crate::bindings::spin::variables::variables::{Error, Host, HostWithStore};
use crate::instance::{ComponentData, HostView};
use wasmtime::component::Accessor;

impl Host for HostView<'_> {}

impl<T: Send> HostWithStore<T> for ComponentData {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> Result<String, Error> {
        accessor.with(|mut access| {
            let view = access.get();
            if name.is_empty()
                || !name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            {
                return Err(Error::InvalidName(format!("{name:?} is not snake_case")));
            }
            view.component
                .variables
                .get(&name)
                .cloned()
                .ok_or_else(|| Error::Undefined(format!("no variable {name:?} in the manifest")))
        })
    }
}
