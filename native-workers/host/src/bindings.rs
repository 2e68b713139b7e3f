//! Generated bindings of the Spin interfaces.

#![allow(missing_docs, unreachable_pub, private_interfaces)]

wasmtime::component::bindgen!({
    path: "wit",
    world: "headwater:host/host-imports",
    imports: {
        "spin:postgres/postgres.[constructor]connection-builder": async,
        "spin:postgres/postgres.[method]connection-builder.set-ca-root": async,
        "spin:postgres/postgres.[method]connection-builder.build": async,
        "spin:postgres/postgres.[drop]connection-builder": async,
        "spin:postgres/postgres.[static]connection.open": async,
        "spin:postgres/postgres.[method]connection.query": async,
        "spin:postgres/postgres.[method]connection.execute": async,
        "spin:postgres/postgres.[drop]connection": async,
        "spin:sqlite/sqlite.[static]connection.open": async,
        "spin:sqlite/sqlite.[method]connection.execute": async,
        "spin:sqlite/sqlite.[method]connection.last-insert-rowid": async,
        "spin:sqlite/sqlite.[method]connection.changes": async,
        "spin:sqlite/sqlite.[drop]connection": async,
        default: store,
    },
    with: {
        "spin:postgres/postgres.connection": crate::postgres::Connection,
        "spin:postgres/postgres.connection-builder": crate::postgres::Builder,
        "spin:sqlite/sqlite.connection": crate::sqlite::Connection,
    },
});

/// What a component answers from memory (`headwater:edge/memory`).
pub(crate) mod memory {
    wasmtime::component::bindgen!({
        path: "../../functions/edge/wit",
        world: "headwater:edge/remembering",
        exports: { default: async | store },
    });
}
