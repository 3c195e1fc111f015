//! Innkeeper against the native client of rmcp: the same calls, each at a fresh process of the same server, must come to the
//! same.
//!
//! rmcp was written by others from the same specification, so a difference is a fault of one of the two, or something that
//! changes from run to run. The latter, and what the typed model of rmcp cannot hold, is declared in [`normalisation`] with
//! the reason; everything else has to be equal: the server's description of itself, every list, every result and error, the
//! reports of progress, what the server asks the platform, and its notifications.
//!
//! A comparison that never fails shows nothing. So the same comparison runs with a guest that does one thing wrong, by seed
//! (`tests/guests/mutant`), and has to say so each time.
//!
//! | file | what it holds |
//! |---|---|
//! | `conversation` | what is said: made from the lists of the server, with arguments from the schemas of its tools |
//! | `native` | saying it through rmcp |
//! | `hosted` | saying it through Innkeeper |
//! | `transcript` | what came of it, and the differences between two |
//! | `normalisation` | what may differ |

mod conversation;
mod hosted;
mod native;
mod normalisation;
mod transcript;

use std::time::Duration;

use innkeeper::{Component, ComponentSource, Runtime};
use innkeeper_tests::{
    artifacts::{self, ServerCommand},
    awkward::Scenario,
};
use serde_json::{Value, json};

use self::{conversation::Conversation, normalisation::Normalised, transcript::Transcript};
use crate::platform::Platform;

/// The seed of the arguments.
const SEED: u64 = 20_251_125;

/// Seeds of mutants: four of each of the kinds that `tests/guests/mutant` knows.
const MUTANTS: u64 = 44;

/// A server has to answer anything within this time, or the comparison fails: far more than it needs on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// What the client says of itself, either one.
const CLIENT: [&str; 2] = ["differential", "1.0.0"];

fn capabilities() -> Value {
    json!({ "roots": {}, "sampling": {}, "elicitation": { "form": {}, "url": {} } })
}

/// A server that was talked to natively.
struct Reference {
    name: &'static str,
    command: ServerCommand,
    conversation: Conversation,
    transcript: Transcript,
}

impl Reference {
    async fn of(name: &'static str, command: ServerCommand) -> Self {
        let (conversation, transcript) = native::hold(name, &command).await;
        Self { name, command, conversation, transcript }
    }

    /// What differs when the same is said through Innkeeper, by a guest that may be told a mutation.
    async fn against(
        &self,
        guest: &Component,
        runtime: &Runtime,
        platform: &Platform,
        mutation: Option<u64>,
    ) -> Compared {
        let hosted = hosted::hold(self, guest, runtime, platform, mutation).await;
        let mut normalised = Normalised::default();
        let differences = self.transcript.differences(&hosted, self.name, &mut normalised);
        Compared { differences, normalised }
    }
}

struct Compared {
    differences: Vec<String>,
    normalised: Normalised,
}

async fn is_equal(name: &'static str, command: ServerCommand, tools: usize) {
    let reference = Reference::of(name, command).await;
    let platform = Platform::announcing(capabilities());
    let runtime = hosted::runtime(&platform).await;
    let guest = runtime.load_component(ComponentSource::Embedded).await.unwrap();

    let Compared { differences, normalised } = reference.against(&guest, &runtime, &platform, None).await;

    println!("{name}: {}", reference.conversation.summary());
    println!("{name}: {}", reference.transcript.summary());
    normalised.print(name);
    assert_eq!(reference.conversation.tools(), tools, "{name} has other tools than it had");
    assert!(differences.is_empty(), "{name}: {} differences\n{}", differences.len(), differences.join("\n"));
}

#[tokio::test]
async fn everything_comes_to_the_same() {
    is_equal("everything", artifacts::everything_server(), 17).await;
}

#[tokio::test]
async fn time_comes_to_the_same() {
    is_equal("time", artifacts::time_server(), 2).await;
}

#[tokio::test]
async fn a_server_made_with_an_early_rmcp_comes_to_the_same() {
    is_equal("early", artifacts::rmcp_time_server(), 2).await;
}

#[tokio::test]
async fn a_server_made_with_rmcp_comes_to_the_same() {
    is_equal("demo", artifacts::demo_server(), 5).await;
}

#[tokio::test]
async fn a_server_written_by_hand_comes_to_the_same() {
    is_equal("plain", artifacts::awkward_server(Scenario::Plain), 6).await;
}

#[tokio::test]
async fn a_mutated_engine_is_caught() {
    // Quick ones first: that a mutant shows at one of them is enough. Only the last sends notifications.
    let references = [
        Reference::of("plain", artifacts::awkward_server(Scenario::Plain)).await,
        Reference::of("demo", artifacts::demo_server()).await,
        Reference::of("everything", artifacts::everything_server()).await,
    ];
    let platform = Platform::announcing(capabilities());
    let runtime = hosted::runtime(&platform).await;
    let mutant = ComponentSource::File(artifacts::guest("innkeeper-mutant-guest"));
    let guest = runtime.load_component(mutant).await.unwrap();
    let mut missed = Vec::new();

    for reference in &references {
        let differences = reference.against(&guest, &runtime, &platform, None).await.differences;
        assert_eq!(differences, [""; 0], "{} without a mutation", reference.name);
    }
    for seed in 0..MUTANTS {
        let mut caught = None;
        for reference in &references {
            let differences = reference.against(&guest, &runtime, &platform, Some(seed)).await.differences;
            caught = differences.into_iter().next().map(|difference| (reference.name, difference));
            if caught.is_some() {
                break;
            }
        }
        match caught {
            Some((name, difference)) => println!("mutant {seed}, by {name}: {difference}"),
            None => missed.push(seed),
        }
    }

    assert_eq!(missed, [0_u64; 0], "mutants that nobody noticed");
}
