//! What a tenant's own definition may be, and what is said of one that may not.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink};

use super::{super::template::Template, *};
use crate::{ProcessLimits, isolation::Confinement};

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("innkeeper-admission-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for a test");
        Self(fs::canonicalize(folder).expect("it is there"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Wanted {
    program: String,
    folder: Option<PathBuf>,
    variables: BTreeMap<String, Template>,
    confinement: Confinement,
    inherit_home: bool,
    bytes: usize,
}

fn command(program: &str) -> Wanted {
    Wanted {
        program: program.into(),
        folder: None,
        variables: BTreeMap::new(),
        confinement: Confinement::default(),
        inherit_home: false,
        bytes: 0,
    }
}

impl Wanted {
    fn against(&self, policy: &Policy) -> Result<Admitted, Vec<String>> {
        let reached = Reached::Command {
            program: &self.program,
            shown: &self.program,
            folder: self.folder.as_deref(),
            variables: &self.variables,
        };
        judge(policy, "mine", reached, self)
    }
}

fn judge(policy: &Policy, name: &str, reached: Reached<'_>, wanted: &Wanted) -> Result<Admitted, Vec<String>> {
    let name = name.into();
    let definition = Definition {
        name: &name,
        reached,
        confinement: wanted.confinement,
        inherit_home: wanted.inherit_home,
        bytes: wanted.bytes,
    };
    admit(policy, &definition).map_err(|violations| violations.iter().map(ToString::to_string).collect())
}

/// The only thing that is said against a definition.
#[track_caller]
fn only(refused: Result<Admitted, Vec<String>>) -> String {
    let violations = refused.expect_err("it is refused");
    assert_eq!(violations.len(), 1, "{violations:#?}");
    violations[0].clone()
}

fn sh() -> PathBuf {
    fs::canonicalize("/bin/sh").expect("there is a shell")
}

#[test]
fn without_a_policy_nothing_is_allowed() {
    let mut wanted = command("/bin/sh");
    wanted.folder = Some("/".into());
    wanted.variables = [("TOKEN".to_owned(), Template::secret("mine".into()))].into();

    let violations = wanted.against(&Policy::new()).unwrap_err();

    assert_eq!(
        violations,
        [
            "server `mine`: its variable `TOKEN` is not allowed; allow its name with `Policy::allow_variable`",
            "server `mine`: the secret `mine` of its variable `TOKEN` is not allowed; allow its name with `Policy::allow_secret`",
            "server `mine`: its command `/bin/sh` is not allowed; allow its absolute path with `Policy::allow_command`",
            "server `mine`: its folder is not allowed; allow it, or one above it, with `Policy::allow_folder`",
        ]
    );
}

#[test]
fn a_command_is_allowed_by_the_file_that_it_leads_to() {
    let policy = Policy::new().allow_command("/bin/sh");

    let admitted = command("/bin/sh").against(&policy).unwrap();

    assert_eq!(admitted, Admitted { program: Some(sh()), folder: None });
}

#[test]
fn a_command_is_a_path_and_nothing_that_is_looked_for() {
    let policy = Policy::new().allow_command("/bin/sh");

    for (program, problem) in [
        ("sh", "it is not an absolute path"),
        ("bin/sh", "it is not an absolute path"),
        ("/bin/../bin/sh", "it has a `..` in it"),
        ("/bin/no-such-program", "it is not there"),
    ] {
        assert!(only(command(program).against(&policy)).contains(problem), "{program}");
    }
}

#[test]
fn a_link_to_another_file_is_that_file() {
    let folder = Folder::new("links");
    let (good, evil) = (folder.0.join("good"), folder.0.join("evil"));
    symlink("/bin/sh", &good).unwrap();
    symlink("/bin/cat", &evil).unwrap();
    let policy = Policy::new().allow_command(&good);

    // By another name the same file, by the allowed name's neighbour another.
    assert_eq!(command("/bin/sh").against(&policy).unwrap().program, Some(sh()));
    assert!(only(command(evil.to_str().unwrap()).against(&policy)).contains("is not allowed"));
}

#[test]
fn a_folder_is_allowed_with_what_is_below_it() {
    let folder = Folder::new("folders");
    for name in ["work/deep", "work-not"] {
        fs::create_dir_all(folder.0.join(name)).unwrap();
    }
    symlink("/", folder.0.join("work/out")).unwrap();
    let policy = Policy::new().allow_command("/bin/sh").allow_folder(folder.0.join("work"));
    let within = |path: &str| {
        let mut wanted = command("/bin/sh");
        wanted.folder = Some(folder.0.join(path));
        wanted.against(&policy)
    };

    assert_eq!(within("work/deep").unwrap().folder, Some(folder.0.join("work/deep")));
    assert_eq!(within("work").unwrap().folder, Some(folder.0.join("work")));
    for outside in ["work-not", "work/out", "work/../work-not", ""] {
        assert!(only(within(outside)).contains("its folder is not allowed"), "{outside}");
    }
}

#[test]
fn a_definition_is_guarded_and_has_no_privileges_and_no_home() {
    let policy = Policy::new().allow_command("/bin/sh");
    let mut wanted = command("/bin/sh");
    wanted.inherit_home = true;
    let limits = ProcessLimits { core_files: true, ..ProcessLimits::default() };
    wanted.confinement = Confinement { isolation: Isolation::Basic, allow_privileges: true, limits };

    let violations = wanted.against(&policy).unwrap_err();

    for (violation, said) in violations.iter().zip(["`basic`", "privileges", "core files", "home folder"]) {
        assert!(violation.contains(said), "{violation}");
    }
    assert_eq!(violations.len(), 4);
}

#[test]
fn a_variable_that_steers_code_is_named_as_such() {
    let policy = Policy::new().allow_command("/bin/sh").allow_variable("*");
    let mut wanted = command("/bin/sh");
    wanted.variables = ["LD_PRELOAD", "MY_TOKEN"].map(|name| (name.to_owned(), Template::from("x"))).into();

    let violation = only(wanted.against(&policy));

    assert!(violation.contains("`LD_PRELOAD`") && violation.contains("exact name"), "{violation}");
    assert!(wanted.against(&policy.allow_variable("LD_PRELOAD")).is_ok());
}

#[test]
fn an_address_is_allowed_by_its_origin() {
    let policy = Policy::new().allow_origin("https://mcp.example.com");
    let at = |address: &str| judge(&policy, "mine", Reached::Url(address), &command(""));

    assert!(at("https://mcp.example.com/team/mcp").is_ok());
    assert!(only(at("http://mcp.example.com/")).contains("its origin http://mcp.example.com is not allowed"));
    let refused = only(at("https://mcp.example.com:hunter2@evil.example/"));
    assert!(refused.contains("a user in it") && !refused.contains("hunter2"), "{refused}");
}

#[test]
fn a_connector_is_never_allowed() {
    assert!(only(judge(&Policy::new(), "mine", Reached::Connector, &command(""))).contains("it is a connector"));
}

#[test]
fn a_definition_and_its_name_are_bounded() {
    let policy = Policy::new().allow_command("/bin/sh").most_untrusted_bytes(100);
    let mut wanted = command("/bin/sh");
    wanted.bytes = 101;
    assert!(only(wanted.against(&policy)).contains("has 101 bytes, and may have 100"));

    let origin = Policy::new().allow_origin("https://a.example");
    for name in ["", "a\u{1b}[31m", &"x".repeat(129)] {
        let refused = only(judge(&origin, name, Reached::Url("https://a.example"), &command("")));
        assert!(refused.contains("its name"), "{refused}");
    }
}
