//! A file that is followed: whatever is written to it, in whatever way, the tenant has it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use innkeeper::{Followed, Following, ReloadReport, Runtime, Tenant};
use serde_json::json;

/// Far more than anything here takes, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Scene {
    _runtime: Runtime,
    tenant: Tenant,
    _folder: tempfile::TempDir,
    file: PathBuf,
    following: Following,
}

impl Scene {
    /// A tenant that has a server of this name.
    async fn new(server: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mcp.json");
        fs::write(&file, config(server)).unwrap();
        let runtime = Runtime::builder().start().await.unwrap();
        let tenant = runtime.tenant("acme").apply().await.unwrap();
        let following = tenant.follow(&file, |_: &str| None::<OsString>).unwrap();
        let mut scene = Self { _runtime: runtime, tenant, _folder: folder, file, following };
        drop(scene.reloaded().await);
        scene
    }

    async fn next(&mut self) -> Followed {
        tokio::time::timeout(PATIENCE, self.following.next()).await.unwrap().unwrap()
    }

    async fn reloaded(&mut self) -> ReloadReport {
        match self.next().await {
            Followed::Reloaded(report) => report,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the tenant has this server alone. There may be any number of news until then.
    async fn until_it_has(&mut self, server: &str) {
        while self.servers() != [server] {
            self.next().await;
        }
    }

    fn servers(&self) -> Vec<String> {
        self.tenant.catalog().servers().map(|(name, _)| name.to_string()).collect()
    }
}

fn config(server: &str) -> String {
    json!({ "mcpServers": { server: { "command": "/bin/cat" } } }).to_string()
}

/// Writes a file in place of another, as editors do.
fn replace(file: &Path, content: &str) {
    let new = file.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, file).unwrap();
}

#[tokio::test]
async fn a_file_that_is_followed_is_had_from_the_beginning() {
    let scene = Scene::new("first").await;

    assert_eq!(scene.servers(), ["first"]);
}

#[tokio::test]
async fn a_file_that_is_written_to_or_replaced_or_gone_for_a_while_is_followed() {
    let mut scene = Scene::new("first").await;

    fs::write(&scene.file, config("written")).unwrap();
    scene.until_it_has("written").await;
    replace(&scene.file.clone(), &config("replaced"));
    scene.until_it_has("replaced").await;
    fs::remove_file(&scene.file).unwrap();
    let gone = scene.next().await;
    assert_eq!(scene.servers(), ["replaced"]);
    fs::write(&scene.file, config("back")).unwrap();
    scene.until_it_has("back").await;

    assert!(matches!(&gone, Followed::Kept(error) if error.to_string().contains("cannot be read")), "{gone:?}");
}

#[tokio::test]
async fn a_file_that_is_broken_changes_nothing_and_says_where() {
    let mut scene = Scene::new("first").await;

    replace(&scene.file.clone(), "{ \"mcpServers\": {\n  \"a\": ] }");
    let Followed::Kept(error) = scene.next().await else { panic!("it was taken") };
    let meanwhile = scene.servers();
    replace(&scene.file.clone(), &config("mended"));
    scene.until_it_has("mended").await;

    assert_eq!(error.code(), "bad_configuration");
    assert!(error.to_string().contains("mcp.json:2"), "{error}");
    assert_eq!(meanwhile, ["first"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_is_followed_that_is_turned_to_another_file() {
    let mut scene = Scene::new("first").await;
    let folder = scene.file.parent().unwrap().to_owned();
    for name in ["one", "two"] {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("mcp.json"), config(name)).unwrap();
    }
    let turn = |to: &str| {
        let link = folder.join("link");
        std::os::unix::fs::symlink(to, &link).unwrap();
        fs::rename(link, folder.join("data")).unwrap();
    };
    turn("one");
    fs::remove_file(&scene.file).unwrap();
    std::os::unix::fs::symlink("data/mcp.json", &scene.file).unwrap();
    scene.until_it_has("one").await;

    turn("two");

    scene.until_it_has("two").await;
}

#[tokio::test]
async fn however_fast_a_file_is_written_the_last_of_it_counts() {
    let mut scene = Scene::new("first").await;

    for number in 0..200 {
        let content = config(&format!("server-{number}"));
        if number % 2 == 0 {
            fs::write(&scene.file, content).unwrap();
        } else {
            replace(&scene.file.clone(), &content);
        }
        tokio::task::yield_now().await;
    }

    scene.until_it_has("server-199").await;
}

#[tokio::test]
async fn a_file_that_says_the_same_in_other_words_changes_nothing() {
    let mut scene = Scene::new("first").await;

    replace(&scene.file.clone(), &config("first").replace('{', "{ "));
    replace(&scene.file.clone(), &config("second"));
    let report = scene.reloaded().await;

    assert_eq!(report.version, 2, "{report}");
    scene.until_it_has("second").await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_cannot_be_followed() {
    let runtime = Runtime::builder().start().await.unwrap();
    let tenant = runtime.tenant("acme").apply().await.unwrap();

    let error = tenant.follow("/nowhere/at/all/mcp.json", |_: &str| None).unwrap_err();

    assert!(error.to_string().contains("watching a configuration file"), "{error}");
}
