//! Replacing: when it is done, and who waits for it.

use innkeeper::{Catalog, Reloaded, Replace, Server};

use super::{
    DEADLINE, SERVER, house, lease, limits, one, only,
    site::{Over, Site, soon},
    which,
};

async fn a_reload_returns(over: Over) {
    for replace in [Replace::Overlap, Replace::After] {
        let (old, new) = (Site::new(over, "old").await, Site::new(over, "new").await);
        let (_runtime, tenant) = house(limits(), only(old.server().replace(replace))).await;
        drop(lease(&tenant, "alice").await.unwrap());
        new.greet(false);

        let reload = tokio::spawn({
            let (tenant, catalog) = (tenant.clone(), only(new.server().replace(replace)));
            async move { tenant.reload(catalog).await }
        });
        new.sees("initialize", 1).await;
        over.pass(DEADLINE).await;
        let is_early = reload.is_finished();
        new.greet(true);
        let report = soon(reload).await.unwrap().unwrap();
        let opened = new.count("open");
        let held = over.at_once(lease(&tenant, "alice")).await.unwrap();
        let answered = over.at_once(which(&held)).await;
        old.sees("end", 1).await;

        assert!(!is_early, "{replace:?}: it returned before the new connection was up");
        assert_eq!(report.servers[0].outcome, Reloaded::Replaced { opened: 1, unopened: 0 });
        assert_eq!((opened, answered.as_str()), (1, "new 1"), "{replace:?}");
        assert_eq!((old.count("initialize"), new.count("initialize")), (1, 1), "{replace:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_returns_when_the_new_connection_is_up_over_streams() {
    a_reload_returns(Over::Streams).await;
}

#[tokio::test]
async fn a_reload_returns_when_the_new_connection_is_up_over_http() {
    a_reload_returns(Over::Http).await;
}

async fn a_restart_returns(over: Over) {
    let (site, _runtime, tenant) = one(over).await;
    let held = lease(&tenant, "alice").await.unwrap();
    site.greet(false);

    let restart = tokio::spawn({
        let tenant = tenant.clone();
        async move { tenant.lease("alice", SERVER).await.unwrap().restart().await }
    });
    site.sees("initialize", 2).await;
    over.pass(DEADLINE).await;
    let is_early = restart.is_finished();
    site.greet(true);
    let info = soon(restart).await.unwrap().unwrap();
    let opened = site.count("open");
    let answered = over.at_once(which(&held)).await;
    site.sees("end", 1).await;

    assert!(!is_early, "it returned before the new connection was up");
    assert_eq!((info.incarnation, opened, answered.as_str()), (2, 2, "old 2"));
}

#[tokio::test(start_paused = true)]
async fn a_restart_returns_when_the_new_connection_is_up_over_streams() {
    a_restart_returns(Over::Streams).await;
}

#[tokio::test]
async fn a_restart_returns_when_the_new_connection_is_up_over_http() {
    a_restart_returns(Over::Http).await;
}

/// What is done to a client whose end takes long.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Reload(Replace),
    Restart,
    Close,
}

async fn others_do_not_wait(over: Over) {
    for doing in [Doing::Reload(Replace::Overlap), Doing::Reload(Replace::After), Doing::Restart, Doing::Close] {
        let [old, new, other] =
            [Site::new(over, "old").await, Site::new(over, "new").await, Site::new(over, "other").await];
        let catalog = |server: Server| Catalog::new().server(SERVER, server).server("other", other.server());
        let edition = |site: &Site| match doing {
            Doing::Reload(replace) => site.server().replace(replace),
            Doing::Restart | Doing::Close => site.server(),
        };
        let (runtime, tenant) = house(limits(), catalog(edition(&old))).await;
        let neighbour = runtime.tenant("neighbour").catalog(catalog(other.server())).apply().await.unwrap();
        let alice = lease(&tenant, "alice").await.unwrap();
        let id = alice.session().id;
        old.end(false);

        let (work, edited) = (tenant.clone(), catalog(edition(&new)));
        let doing_it = tokio::spawn(async move {
            match doing {
                Doing::Reload(_) => {
                    drop(alice);
                    assert!(work.reload(edited).await.unwrap().is_in_force());
                }
                Doing::Restart => drop(alice.restart().await.unwrap()),
                Doing::Close => drop(work.close_session(id, limits().close_input).await),
            }
        });
        old.sees("leave", 1).await;
        if matches!(doing, Doing::Restart) {
            old.sees("initialize", 2).await;
        }
        let answered = over.at_once(async {
            // Another server of the same users, and another tenant.
            for (tenant, user, server) in [(&tenant, "alice", "other"), (&neighbour, "alice", SERVER)] {
                which(&tenant.lease(user, server).await.unwrap()).await;
            }
            let mut answered = Vec::new();
            // Where the old one is to be over before the new one is begun, whoever wants that server waits for it.
            if !matches!(doing, Doing::Reload(Replace::After)) {
                for user in ["alice", "bob"] {
                    answered.push(which(&lease(&tenant, user).await.unwrap()).await);
                }
            }
            answered
        });
        let answered = answered.await;
        let is_closing = old.count("end") == 0;
        old.end(true);
        soon(doing_it).await.unwrap();
        old.sees("end", 1).await;

        assert!(is_closing, "{doing:?}: the old one was gone already");
        let expected: &[&str] = match doing {
            Doing::Reload(Replace::After) => &[],
            Doing::Reload(_) => &["new 1", "new 2"],
            Doing::Restart | Doing::Close => &["old 2", "old 3"],
        };
        assert_eq!(answered, expected, "{doing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_client_that_takes_long_to_close_over_streams() {
    others_do_not_wait(Over::Streams).await;
}

#[tokio::test]
async fn nobody_waits_for_a_client_that_takes_long_to_close_over_http() {
    others_do_not_wait(Over::Http).await;
}
