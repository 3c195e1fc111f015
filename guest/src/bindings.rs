//! What `wit-bindgen` makes of the WIT package `innkeeper:guest`.
//!
//! Natively these are plain data types. For wasm they also carry the glue that
//! [`export!`] turns a type into a component with. Their documentation is that of
//! the WIT package; the interface itself is re-exported as
//! [`boundary`](crate::boundary).

#![allow(missing_docs, reason = "generated; the documentation is that of the WIT package")]
#![allow(unused_qualifications, unreachable_pub, reason = "generated")]

wit_bindgen::generate!({
    path: "../wit",
    world: "guest",
    additional_derives: [PartialEq],
    pub_export_macro: true,
    default_bindings_module: "innkeeper_guest::bindings",
});
