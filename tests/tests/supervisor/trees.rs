//! The servers: process trees that sessions have.

use innkeeper_tests::{
    artifacts,
    awkward::Scenario,
    hosting::{Host, Order, Settings, wait_for},
};

/// A process tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    /// That of a server of the harness.
    Of(Scenario),
    /// A shell that starts a shell that starts the server, as `npx` does.
    Launcher,
    /// None: the program cannot be started.
    ExecFails,
}

impl Tree {
    /// All.
    pub(crate) const ALL: [Self; 14] = [
        Self::Of(Scenario::Plain),
        Self::Of(Scenario::IgnoresEof),
        Self::Of(Scenario::IgnoresEofAndTerm),
        Self::Of(Scenario::QuietGrandchild),
        Self::Of(Scenario::Grandchild),
        Self::Of(Scenario::GrandchildInOwnSession),
        Self::Of(Scenario::GrandchildWithoutEnvironment),
        Self::Of(Scenario::Daemon),
        Self::Of(Scenario::ForkChains),
        Self::Of(Scenario::ForkStorm),
        Self::Launcher,
        Self::Of(Scenario::StopsItself),
        Self::ExecFails,
        Self::Of(Scenario::NeverAnswersInitialize),
    ];

    /// For tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Of(scenario) => scenario.name(),
            Self::Launcher => "launcher",
            Self::ExecFails => "exec-fails",
        }
    }

    /// A host of it.
    pub(crate) fn settings(self) -> Settings {
        let scenario = match self {
            Self::Of(scenario) => scenario,
            Self::Launcher | Self::ExecFails => Scenario::Plain,
        };
        let server = artifacts::awkward_server(scenario);
        let program = artifacts::for_everybody(&server.program);
        let program = program.to_str().expect("paths of the target folder are text");
        match self {
            Self::Of(_) => Settings::new(program, server.args),
            // The command after the server keeps each shell from becoming what it starts.
            Self::Launcher => {
                let script = r#"sh -c '"$0" "$1"; :' "$0" "$1"; :"#;
                Settings::new("sh", ["-c", script, program, scenario.name()])
            }
            Self::ExecFails => Settings::new("/nowhere/a-server", server.args),
        }
    }

    /// Opens so many sessions and waits until their trees are complete.
    pub(crate) fn open(self, host: &mut Host, sessions: usize) -> Result<(), String> {
        match self {
            Self::ExecFails => {
                let answer = host.order(&Order::Open(sessions));
                return answer
                    .map_or(Ok(()), |answer| Err(format!("a program that there is not was started: {answer}")));
            }
            // Its supervisor ends it, sooner or later.
            Self::Of(Scenario::ForkStorm) => {
                let _ = host.order(&Order::Open(sessions));
                return Ok(());
            }
            Self::Of(Scenario::NeverAnswersInitialize) => _ = host.order(&Order::BeginToOpen)?,
            _ => _ = host.order(&Order::Open(sessions))?,
        }
        let complete = wait_for(|| {
            let servers = host.servers();
            let stopped = servers.iter().filter(|process| process.state == 'T').count();
            servers.len() >= sessions * self.processes() && stopped >= sessions * self.stopped()
        });
        if complete { Ok(()) } else { Err(format!("the tree never was complete: {:?}", host.servers())) }
    }

    /// How many processes it has, at least.
    fn processes(self) -> usize {
        match self {
            Self::ExecFails => 0,
            Self::Launcher => 3,
            // While they are counted, some hop.
            Self::Of(Scenario::ForkChains | Scenario::ForkStorm) => 8,
            Self::Of(
                Scenario::QuietGrandchild
                | Scenario::Grandchild
                | Scenario::GrandchildInOwnSession
                | Scenario::GrandchildWithoutEnvironment
                | Scenario::Daemon,
            ) => 2,
            Self::Of(_) => 1,
        }
    }

    /// How many of them are stopped.
    fn stopped(self) -> usize {
        usize::from(self == Self::Of(Scenario::StopsItself))
    }

    /// Whether it keeps all processors busy.
    pub(crate) fn is_busy(self) -> bool {
        matches!(self, Self::Of(Scenario::ForkChains | Scenario::ForkStorm))
    }
}
