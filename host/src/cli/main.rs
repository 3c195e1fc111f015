//! The program `innkeeper`: the library from a terminal or a script.
//!
//! A file for each verb; the rest is what they share: what can be said (`options`), which servers there are
//! (`servers`), the runtime and its end (`hosting`), and how it is told (`output`, `page`, `exit`).

mod arguments;
mod call;
mod check;
mod content;
mod doctor;
mod each;
mod exit;
mod hosting;
mod inspect;
mod interrupt;
mod list;
mod logging;
mod options;
mod output;
mod page;
mod ping;
mod prompt;
mod prompts;
mod read;
mod resources;
mod save;
mod secrets;
mod servers;
mod signature;
mod spinner;
mod target;
mod tools;

use std::{env, process::ExitCode};

use clap::{Parser, error::ErrorKind};

use crate::{
    call::PreparedCall,
    exit::{Exit, Failure},
    hosting::with_host,
    options::{AdHoc, CallOptions, ConfigVerb, GlobalOptions, Options, PromptOptions, ReadOptions, Verb},
    output::Output,
    prompt::PreparedPrompt,
    read::PreparedRead,
    servers::Servers,
    spinner::Spinner,
};

fn main() -> ExitCode {
    match Options::try_parse() {
        Ok(options) => {
            logging::start(options.global.verbose);
            run(options).into()
        }
        Err(error) => refuse(&error).into(),
    }
}

fn run(Options { global, verb }: Options) -> Exit {
    let output = Output::new(global.json);
    let exit = match verb {
        Verb::List => Ok(output.print(&list::run(&global))),
        Verb::Config { verb: ConfigVerb::Check } => Ok(output.print(&check::run(&global))),
        Verb::Doctor => doctor(&output),
        Verb::Tools { server, ad_hoc } => tools(server.as_deref(), &ad_hoc, &global),
        Verb::Ping { server, ad_hoc } => ping(server.as_deref(), &ad_hoc, &global),
        Verb::Call(options) => call(&options, &global),
        Verb::Resources { server, ad_hoc } => resources(server.as_deref(), &ad_hoc, &global),
        Verb::Read(options) => read(&options, &global),
        Verb::Prompts { server, ad_hoc } => prompts(server.as_deref(), &ad_hoc, &global),
        Verb::Prompt(options) => prompt(&options, &global),
        Verb::Inspect { server, ad_hoc } => inspect(server.as_deref(), &ad_hoc, &global),
    };
    exit.unwrap_or_else(|failure| output.failure(&failure))
}

fn doctor(output: &Output) -> Result<Exit, Failure> {
    block_on(async { output.print(&doctor::run().await) })
}

fn tools(server: Option<&str>, ad_hoc: &AdHoc, options: &GlobalOptions) -> Result<Exit, Failure> {
    let servers = Servers::choose(ad_hoc, options)?;
    let names = servers.select(server)?;
    block_on(with_host(&servers, options, async |host| {
        let spinner = Spinner::start(opening(&names), options.verbose == 0);
        tools::run(&host, names, spinner).await
    }))
}

fn ping(server: Option<&str>, ad_hoc: &AdHoc, options: &GlobalOptions) -> Result<Exit, Failure> {
    let servers = Servers::choose(ad_hoc, options)?;
    let names = servers.select(server)?;
    block_on(with_host(&servers, options, async |host| {
        let spinner = Spinner::start(opening(&names), options.verbose == 0);
        ping::run(&host, names, spinner).await
    }))
}

fn call(call: &CallOptions, options: &GlobalOptions) -> Result<Exit, Failure> {
    let servers = Servers::choose(&call.ad_hoc, options)?;
    let call = PreparedCall::new(call, &servers)?;
    block_on(with_host(&servers, options, async |host| {
        let spinner = Spinner::start(call.describe(), options.verbose == 0);
        call.run(&host, options.timeout, spinner).await
    }))
}

fn resources(server: Option<&str>, ad_hoc: &AdHoc, options: &GlobalOptions) -> Result<Exit, Failure> {
    let servers = Servers::choose(ad_hoc, options)?;
    let names = servers.select(server)?;
    block_on(with_host(&servers, options, async |host| {
        let spinner = Spinner::start(opening(&names), options.verbose == 0);
        resources::run(&host, names, spinner).await
    }))
}

fn read(read: &ReadOptions, options: &GlobalOptions) -> Result<Exit, Failure> {
    let servers = Servers::choose(&read.ad_hoc, options)?;
    let read = PreparedRead::new(read, &servers)?;
    block_on(with_host(&servers, options, async |host| {
        let spinner = Spinner::start(read.describe(), options.verbose == 0);
        read.run(&host, spinner).await
    }))
}

fn prompts(server: Option<&str>, ad_hoc: &AdHoc, options: &GlobalOptions) -> Result<Exit, Failure> {
    let servers = Servers::choose(ad_hoc, options)?;
    let names = servers.select(server)?;
    block_on(with_host(&servers, options, async |host| {
        let spinner = Spinner::start(opening(&names), options.verbose == 0);
        prompts::run(&host, names, spinner).await
    }))
}

fn prompt(prompt: &PromptOptions, options: &GlobalOptions) -> Result<Exit, Failure> {
    let servers = Servers::choose(&prompt.ad_hoc, options)?;
    let prompt = PreparedPrompt::new(prompt, &servers)?;
    block_on(with_host(&servers, options, async |host| {
        let spinner = Spinner::start(prompt.describe(), options.verbose == 0);
        prompt.run(&host, spinner).await
    }))
}

fn inspect(server: Option<&str>, ad_hoc: &AdHoc, options: &GlobalOptions) -> Result<Exit, Failure> {
    let servers = Servers::choose(ad_hoc, options)?;
    let name = servers.single(server)?;
    block_on(with_host(&servers, options, async |host| {
        let spinner = Spinner::start(format!("inspecting {name}"), options.verbose == 0);
        inspect::run(&host, name, spinner).await
    }))
}

/// What to show while servers take long to open.
fn opening(names: &[String]) -> String {
    match names {
        [name] => format!("opening {name}"),
        names => format!("opening {} servers", names.len()),
    }
}

fn block_on(work: impl Future<Output = Exit>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::system("starting threads", error))?;
    let exit = runtime.block_on(work);
    // What still runs then holds nothing that must be closed, and must not hold up the exit.
    runtime.shutdown_background();
    Ok(exit)
}

/// Says why the command line cannot be followed; or what was asked for, if that is help.
fn refuse(error: &clap::Error) -> Exit {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    // There are no options to look at, so this looks for the word; after `--` it would be another program's.
    let json = env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
    if json && !asked_for {
        // What follows the first paragraph is usage, for people.
        let text = error.to_string();
        let message = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ").trim_end();
        return Output::new(true).failure(&Failure::usage(message).hint("see `innkeeper help`"));
    }
    // Help that cannot be shown is no reason to fail otherwise.
    let _ = error.print();
    if asked_for { Exit::Success } else { Exit::Usage }
}
