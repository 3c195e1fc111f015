//! `HOME`, `TMPDIR` and `XDG_*`: those of the host's user where a runtime has one tenant, and a session's own where it has
//! several.

use std::{env, fs, os::unix::fs::PermissionsExt, path::PathBuf};

use innkeeper::{Lease, Server};
use innkeeper_tests::{awkward::Scenario, processes::Marker};

use super::{builder, close, command, environment, lease, tenant};

/// The variables that name folders which a program writes to.
const OF_THE_USER: [&str; 7] =
    ["HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"];

fn plain() -> Server {
    Server::command(command(Scenario::Plain, &Marker::new()))
}

/// The folders that a session's server is told of, in the order of [`OF_THE_USER`].
async fn folders(lease: &Lease) -> [Option<String>; 7] {
    let mut environment = environment(lease).await;
    OF_THE_USER.map(|name| environment.remove(name))
}

fn of_the_host() -> [Option<String>; 7] {
    OF_THE_USER.map(|name| env::var(name).ok())
}

/// The three folders that a session of its own has, and that it has no other.
async fn private_folders(lease: &Lease) -> [PathBuf; 3] {
    let [home, scratch, runtime, others @ ..] = folders(lease).await;
    assert_eq!(others, [const { None }; 4]);
    [home, scratch, runtime].map(|folder| folder.unwrap().into())
}

fn is_empty(folder: &PathBuf) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[tokio::test]
async fn the_servers_of_an_only_tenant_have_the_folders_of_the_host() {
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", plain()).await;
    let lease = lease(&acme, "alice").await.unwrap();

    assert!(env::var_os("HOME").is_some(), "the test cannot tell");
    assert_eq!(folders(&lease).await, of_the_host());

    close(&runtime).await;
}

#[tokio::test]
async fn the_servers_of_several_tenants_have_folders_of_their_own_that_go_with_them() {
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", plain()).await;
    let _other = tenant(&runtime, "other", plain()).await;
    let lease = lease(&acme, "alice").await.unwrap();

    let folders = private_folders(&lease).await;

    for folder in &folders {
        assert!(is_empty(folder), "{}", folder.display());
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
        fs::write(folder.join("left"), "behind").unwrap();
    }
    drop(lease);
    close(&runtime).await;
    assert!(folders.iter().all(|folder| !folder.exists()), "{folders:?}");
}

#[tokio::test]
async fn the_next_session_of_a_user_finds_nothing_of_the_last() {
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", plain().inherit_home(false)).await;

    let first = lease(&acme, "alice").await.unwrap();
    let of_the_first = private_folders(&first).await;
    fs::write(of_the_first[0].join("left"), "behind").unwrap();
    drop(first);
    acme.close(super::BOUND).await;
    let second = lease(&acme, "alice").await.unwrap();
    let of_the_second = private_folders(&second).await;

    assert!(of_the_first.iter().all(|folder| !of_the_second.contains(folder)));
    assert!(of_the_second.iter().all(is_empty));
    close(&runtime).await;
}

#[tokio::test]
async fn sessions_of_two_users_share_no_folder() {
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", plain()).await;
    let _other = tenant(&runtime, "other", plain()).await;
    let (alice, bob) = (lease(&acme, "alice").await.unwrap(), lease(&acme, "bob").await.unwrap());

    let (of_alice, of_bob) = (private_folders(&alice).await, private_folders(&bob).await);

    // Nor does one of them lie in one of the other's.
    for (one, other) in of_alice.iter().flat_map(|one| of_bob.iter().map(move |other| (one, other))) {
        assert!(!one.starts_with(other) && !other.starts_with(one), "{} {}", one.display(), other.display());
    }
    close(&runtime).await;
}

#[tokio::test]
async fn a_server_may_inherit_the_home_in_spite_of_other_tenants() {
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", plain().inherit_home(true)).await;
    let _other = tenant(&runtime, "other", plain()).await;
    let lease = lease(&acme, "alice").await.unwrap();

    assert_eq!(folders(&lease).await, of_the_host());

    close(&runtime).await;
}

#[tokio::test]
async fn what_the_catalog_says_of_a_folder_holds_in_a_private_home_too() {
    let marker = Marker::new();
    let server = Server::command(command(Scenario::Plain, &marker).env("XDG_CACHE_HOME", "/var/cache/shared"));
    let runtime = builder().start().await.unwrap();
    let acme = tenant(&runtime, "acme", server.inherit_home(false)).await;
    let lease = lease(&acme, "alice").await.unwrap();

    let environment = environment(&lease).await;

    assert_eq!(environment["XDG_CACHE_HOME"], "/var/cache/shared");
    assert_ne!(environment.get("HOME"), env::var("HOME").ok().as_ref());
    close(&runtime).await;
}
