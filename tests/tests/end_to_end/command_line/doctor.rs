//! `innkeeper doctor`: what this machine gives for servers; and what is said where it does not give enough.
//!
//! A machine that lacks something is had by a filter: to the program, the kernel answers as one without it.

use std::{io, ptr};

use innkeeper_tests::awkward::Scenario;
use serde_json::{Value, json};

use super::{Desk, Run, assert_says};

const LANDLOCK: libc::c_long = libc::SYS_landlock_create_ruleset;

/// What is said of a machine without it.
const LACKS: &str = "this machine lacks Landlock";

/// Has a program and all its processes be told that there is no such system call (ENOSYS).
fn hide(system_call: libc::c_long) -> io::Result<()> {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code.try_into().expect("codes are short"), jt, jf, k };
    let system_call = u32::try_from(system_call).expect("numbers are small");
    let errno = u32::try_from(libc::ENOSYS).expect("errors are positive");
    // seccomp(2): the number is the first word of what a filter sees.
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, system_call),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len().try_into().expect("it is short"), filter: filter.as_mut_ptr() };
    // SAFETY: prctl(2) reads the program and its steps, which live until it returns.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, ptr::from_ref(&program)) != 0
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Runs the program on a machine that has not this system call.
async fn run_without(system_call: libc::c_long, desk: &Desk, arguments: &[&str]) -> Run {
    let mut command = desk.command(arguments);
    // SAFETY: it makes system calls only, and touches no memory of others.
    unsafe { command.pre_exec(move || hide(system_call)) };
    desk.end_of(command.spawn().unwrap(), arguments).await
}

#[tokio::test]
async fn doctor_says_what_this_machine_gives_and_needs_no_configuration() {
    let desk = Desk::new();

    let run = desk.run(&["doctor"]).await;
    let document = desk.run(&["doctor", "--json"]).await.json();

    assert_eq!((run.exit(), run.stderr.as_str()), (0, ""));
    assert_says(&run.stdout, &["supervisor", "runs\n", "guarded servers", "yes\n", "Landlock", "revision ", "up to "]);
    assert_eq!(
        (&document["guarded"], &document["missing"], &document["error"]),
        (&json!(true), &Value::Null, &Value::Null)
    );
    assert!(document["landlock"].as_u64() >= Some(6), "{document}");
    assert!(document["sessions"].as_u64() >= Some(1) && document["lists_children"].is_boolean(), "{document}");
}

#[tokio::test]
async fn doctor_names_what_is_missing_where_servers_cannot_be_guarded() {
    let desk = Desk::new();

    let run = run_without(LANDLOCK, &desk, &["doctor"]).await;
    let json = run_without(LANDLOCK, &desk, &["--json", "doctor"]).await;

    assert_eq!((run.exit(), run.stderr.as_str()), (3, ""));
    assert_says(&run.stdout, &["no: ", LACKS, "error: servers cannot be guarded", "\"basic\""]);
    assert_eq!((json.exit(), json.stderr.as_str()), (3, ""));
    let document = json.json();
    assert_eq!((&document["guarded"], &document["landlock"]), (&json!(false), &json!(0)));
    assert_eq!(document["error"]["code"], "isolation");
    assert!(document["missing"].as_str().unwrap().contains("Landlock"), "{document}");
}

#[tokio::test]
async fn where_servers_cannot_be_guarded_only_those_that_say_so_are_started() {
    let desk = Desk::with(&[Scenario::Plain]);
    let basic =
        serde_json::from_slice::<Value>(&std::fs::read(desk.folder.join("mcp.json")).unwrap()).map(|mut file| {
            file["mcpServers"]["plain"]["isolation"] = "basic".into();
            file.to_string()
        });
    desk.write("basic.json", basic.unwrap());
    let call = ["call", "plain.echo", "text=hello"];

    let guarded = run_without(LANDLOCK, &desk, &call).await;
    let basic = run_without(LANDLOCK, &desk, &[&call[..], &["--config", "basic.json"]].concat()).await;

    assert_says(&guarded.failure(3), &["server `plain`", LACKS]);
    assert_eq!(basic.text(), "hello\n");
}

#[tokio::test]
async fn doctor_says_what_is_in_the_way_of_the_supervisor() {
    let desk = Desk::new();

    let text = run_without(libc::SYS_memfd_create, &desk, &["doctor"]).await.failure(3);
    let json = run_without(libc::SYS_memfd_create, &desk, &["doctor", "--json"]).await;

    assert_says(&text, &["error: preparing for servers", "the supervisor cannot be started"]);
    assert_eq!((json.exit(), json.stderr.as_str()), (3, ""));
    assert_eq!(json.json()["error"]["code"], "system");
}
