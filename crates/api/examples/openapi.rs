//! Prints the OpenAPI document: `cargo run -p headwater-api --example openapi > docs/openapi.json`.

fn main() {
    print!("{}", headwater_api::openapi::text());
}
