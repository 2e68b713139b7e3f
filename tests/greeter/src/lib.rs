//! A component that others depend on, for the host's tests of composition.
#![allow(unsafe_code)] // What the bindings expand to.

wit_bindgen::generate!({ path: "../guest/wit", world: "dependency" });

struct Greeter;

impl exports::headwater::test::greeter::Guest for Greeter {
    fn greet(name: String) -> String {
        format!("Good morning, {name}")
    }
}

export!(Greeter);
