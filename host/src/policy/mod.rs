//! What a tenant may do, as data: rules that others enforce.

mod tools;

pub use tools::ToolRules;
