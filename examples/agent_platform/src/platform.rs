//! The platform: one runtime, two tenants, and what each of them may do.

use std::{path::Path, time::Duration};

use anyhow::{Result, bail};
use innkeeper::{
    Catalog, Command, Component, ComponentSource, Error, Limits, Policy, Runtime, Scope, Server, Tenant, ToolRules,
    config::McpJson,
};
use serde_json::json;

use crate::{
    programs::Programs,
    screen::Screen,
    vault::{TOKEN, Vault},
};

/// So short that one can watch a session being reaped. The default is 15 minutes.
const IDLE: Duration = Duration::from_secs(4);

/// Of each tenant: more than this one's users need, and few enough that a mistake shows. The default is 100.
const SESSIONS: usize = 20;

pub(crate) struct Platform {
    pub(crate) runtime: Runtime,
    pub(crate) acme: Tenant,
    pub(crate) globex: Tenant,
}

impl Platform {
    /// Makes it. No server is started: that happens when somebody needs one.
    pub(crate) async fn open(programs: &Programs, screen: &Screen) -> Result<Self> {
        let mut limits = Limits::default();
        limits.idle = IDLE;
        limits.sessions_per_tenant = SESSIONS;
        let runtime = Runtime::builder()
            .limits(limits)
            .client_info("agent-platform", env!("CARGO_PKG_VERSION"))
            .secrets(Vault { screen: screen.clone() })
            .start()
            .await?;
        // The client that speaks MCP. Compiled once, and instantiated for each session; a tenant may have one of its own.
        let guest = runtime.load_component(ComponentSource::Embedded).await?;

        let acme = runtime.tenant("acme").guest(guest.clone()).catalog(catalog_of_acme(programs)).apply().await?;
        let globex = admit_globex(&runtime, &guest, programs, screen).await?;
        Ok(Self { runtime, acme, globex })
    }
}

/// What the platform gives acme. It wrote these definitions, so they are trusted.
fn catalog_of_acme(programs: &Programs) -> Catalog {
    // A process for each user, with the user's own token: named here, and had from the vault.
    let command = Command::new(&programs.everything).args(["stdio"]).env_secret("API_TOKEN", TOKEN);
    let rules = ToolRules::new()
        // It prints the environment, and the token with it: results are data, and hidden from nobody.
        .deny("get-env")
        .rename("get-sum", "add")
        // Somebody has read what this server says of its tools, and believes it: calls of those that change nothing are made
        // again where their process dies. Off by default, because hints are what a server says of itself.
        .trust_idempotence_hints(true);
    let everything = Server::command(command).tool_rules(rules).call_timeout(Duration::from_secs(20));

    // One process for all users of the tenant: it knows nothing of anybody.
    let time = Server::command(time(programs)).scope(Scope::Tenant);
    Catalog::new().server("everything", everything).server("time", time)
}

/// Makes globex, which brings a server of its own: from a form on a web page, say. That is an `mcp.json`, and is not trusted.
async fn admit_globex(runtime: &Runtime, guest: &Component, programs: &Programs, screen: &Screen) -> Result<Tenant> {
    // Everything that is not allowed is denied. A platform that is not an example allows programs that its own user cannot write
    // to: a server is a process of that user, and could make another program of them.
    let policy = Policy::new().allow_command(&programs.demo).allow_variable("GREETING");
    let apply = async |theirs: serde_json::Value| {
        // Their `${NAME}` is not to be a variable of this process: they have none.
        let theirs = McpJson::parse(Path::new("globex.json"), theirs.to_string().as_bytes(), &|_: &str| None);
        let ours = Catalog::new()
            .server("calculator", Server::command(programs.demo.as_str()))
            .server("time", Server::command(time(programs)));
        runtime
            .tenant("globex")
            .guest(guest.clone())
            .policy(policy.clone())
            .catalog(ours)
            .untrusted_catalog(Catalog::from_mcp_json(&theirs.into_result()?))
            .apply()
            .await
    };

    // At first they want more than they may have. Nothing was done then, and the error says what to change.
    let too_much = json!({ "mcpServers": { "files": {
        "command": "npx", "args": ["-y", "some-files-server"], "env": { "NODE_OPTIONS": "--require ./mine.js" },
    } } });
    match apply(too_much).await {
        Err(error @ Error::Denied { .. }) => screen.note(&error.to_string()),
        Err(error) => return Err(error.into()),
        Ok(_) => bail!("policy did not refuse what globex may not have"),
    }

    let enough = json!({ "mcpServers": { "greeter": { "command": programs.demo, "env": { "GREETING": "hello" } } } });
    Ok(apply(enough).await?)
}

fn time(programs: &Programs) -> Command {
    Command::new(&programs.time).args(["--local-timezone", "UTC"])
}
