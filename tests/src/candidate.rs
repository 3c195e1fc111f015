//! The guest that is a candidate for upgrades: the default guest under another name, with a fault if a test asks for one.

use innkeeper::{Component, ComponentSource, Runtime};

use crate::artifacts;

/// What stands before the name of the fault in the component, and bytes that a name may have.
const MARK: &[u8] = b"candidate-fault=";
const NAME: usize = 24;

/// The candidate with this fault; `none` is one.
pub async fn candidate(runtime: &Runtime, fault: &str) -> Component {
    let bytes = with_fault(fault);
    runtime.load_component(ComponentSource::Bytes(bytes)).await.expect("a candidate loads")
}

fn with_fault(fault: &str) -> Vec<u8> {
    let file = artifacts::guest("innkeeper-candidate-guest");
    let mut bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
    let marks = bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    // It may also be there for itself, to be compared with.
    let places: Vec<usize> = marks.map(|(at, _)| at + MARK.len()).collect();
    let names =
        places.into_iter().filter(|at| bytes.get(at + 4..at + NAME).is_some_and(|rest| rest.trim_ascii().is_empty()));
    let names: Vec<usize> = names.collect();
    let [at] = names[..] else { panic!("{} has {} places for a fault", file.display(), names.len()) };
    let name = format!("{fault:NAME$}");
    bytes[at..at + NAME].copy_from_slice(name.as_bytes());
    bytes
}
