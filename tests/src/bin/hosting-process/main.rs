//! A host that does what it is told: an embedder of the library that can be killed, and has strange habits on demand.
//!
//! ```text
//! hosting-process SETTINGS
//! ```
//!
//! Orders come on standard input and answers go to standard output, a line of JSON each: see `innkeeper_tests::hosting`. The end
//! of the input is a polite end: everything is dropped, in the order in which programs do that.
//!
//! Here is the process: what becomes of it, and what an embedder does to the signals and children of it. [`house`] has the
//! runtime with its sessions.

mod house;

use std::env;
use std::fs;
use std::io::{self, BufRead};
use std::process::{self, ExitCode};

use innkeeper_tests::hosting::{Answer, Held, Order, Settings};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use crate::house::House;

fn main() -> ExitCode {
    let settings: Option<Settings> = env::args().nth(1).and_then(|text| serde_json::from_str(&text).ok());
    let Some(settings) = settings else {
        eprintln!("usage: hosting-process SETTINGS, which are those of the harness, as JSON");
        return ExitCode::from(2);
    };
    // Not every embedder, nor who starts it, takes care of what its children inherit.
    // SAFETY: dup(2) takes no pointer.
    unsafe { libc::dup(0) };
    let mut house = House::open(settings);
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let order = serde_json::from_str(&line).expect("the harness gives orders that there are");
        let answer = obey(&mut house, order);
        println!("{}", serde_json::to_string(&answer).expect("an answer is plain data"));
    }
    ExitCode::SUCCESS
}

fn obey(house: &mut House, order: Order) -> Answer {
    match order {
        Order::Open(sessions) => house.lease(sessions),
        Order::BeginToOpen => house.begin_to_lease(),
        Order::CallTool { session, tool, arguments } => house.call_tool(session, &tool, &arguments),
        Order::Fail(method) => house.fail(&method),
        Order::Release => house.release(),
        Order::Drain => house.drain(),
        Order::AbandonDrain => house.abandon_drain(),
        Order::Rounds { rounds, sessions } => house.rounds(rounds, sessions),
        Order::DropTokio => house.drop_tokio(),
        Order::IgnoreChildren => set_handler_for_children(libc::SIG_IGN),
        Order::WaitForAllChildren => set_handler_for_children(wait_for_all as *const () as libc::sighandler_t),
        Order::LimitProcesses { of, most } => limit_processes(of, most),
        Order::Held => held().map_err(|error| format!("cannot look at this process: {error}")),
        Order::Panic => panic!("a panic of the embedder"),
        Order::Abort => process::abort(),
        Order::Exit => process::exit(0),
    }
}

fn set_handler_for_children(handler: libc::sighandler_t) -> Answer {
    // SAFETY: what is passed is SIG_IGN, or a function that makes system calls only (signal-safety(7)).
    match unsafe { libc::signal(libc::SIGCHLD, handler) } {
        libc::SIG_ERR => Err(io::Error::last_os_error().to_string()),
        _ => Ok(Value::Null),
    }
}

/// What programs did before there was a better way, and what takes the status of a child from whoever it belongs to.
extern "C" fn wait_for_all(_signal: libc::c_int) {
    // SAFETY: the place of `errno` is this thread's. What is interrupted here does not see that it was changed.
    unsafe {
        let interrupted = *libc::__errno_location();
        while libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) > 0 {}
        *libc::__errno_location() = interrupted;
    }
}

fn limit_processes(of: u32, most: Option<u64>) -> Answer {
    let own = getrlimit(Resource::Nproc);
    let of = i32::try_from(of).ok().and_then(Pid::from_raw);
    let limit = Rlimit { current: most.or(own.current), maximum: own.maximum };
    prlimit(of, Resource::Nproc, limit).map(|_| Value::Null).map_err(|error| error.to_string())
}

/// Threads of pools, which are started when there is work for one more, up to a bound: tokio's, and those of slow guests.
const POOLS: [&str; 2] = [house::TOKIO, "innkeeper-slow"];

fn held() -> io::Result<Value> {
    let (mut threads, mut children) = (0, 0);
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        // A thread that ended meanwhile has none.
        let listed = fs::read_to_string(task.join("children")).unwrap_or_default();
        children += listed.split_whitespace().count();
        let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
        threads += usize::from(!name.is_empty() && !POOLS.contains(&name.trim_end()));
    }
    Ok(json!(Held { files: fs::read_dir("/proc/self/fd")?.count(), threads, children }))
}
