//! Which environment variables a definition may set.
//!
//! Some names are no settings of a program but of what loads or interprets it: whoever sets `LD_PRELOAD` or `NODE_OPTIONS`
//! chooses the code that runs, whatever command was allowed. So no wildcard matches them.

/// Names of loaders, interpreters, libraries and package runners that decide which code runs, where they look for it, whom they
/// trust, or what they write where.
const STEERING: [&str; 39] = [
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "CLASSPATH",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "GODEBUG",
    "GOENV",
    "GOFLAGS",
    "GOPATH",
    "GOPROXY",
    "GOROOT",
    "GOTOOLCHAIN",
    "HOME",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSOPEN",
    "LOCPATH",
    "LUA_CPATH",
    "LUA_INIT",
    "LUA_PATH",
    "MALLOC_CONF",
    "NLSPATH",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "PAGER",
    "PATH",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PS4",
    "SHELL",
    "SHELLOPTS",
    "SSLKEYLOGFILE",
    "TMPDIR",
    "VISUAL",
    "_JAVA_OPTIONS",
];

/// The same by their beginnings.
const STEERING_PREFIXES: [&str; 22] = [
    "BASH_FUNC_",
    "BUNDLE_",
    "BUN_",
    "CARGO",
    "DENO_",
    "DOTNET_",
    "DYLD_",
    "ERL_",
    "GEM_",
    "GIT_",
    "LD_",
    "MONO_",
    "NODE_",
    "NPM_CONFIG_",
    "PERL",
    "PIP_",
    "PYTHON",
    "RUBY",
    "RUST",
    "SSL_",
    "UV_",
    "XDG_",
];

/// Whether a variable decides which code runs. Without regard to case: npm has none.
pub(super) fn is_steering(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    STEERING.contains(&name.as_str()) || STEERING_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a rule, a name or the beginning of one with a `*`, allows a variable.
pub(super) fn allows(rule: &str, name: &str) -> bool {
    match rule.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix) && !is_steering(name),
        None => rule == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_allowed_exactly_or_by_its_beginning() {
        assert!(allows("GITHUB_TOKEN", "GITHUB_TOKEN"));
        assert!(
            allows("GITHUB_*", "GITHUB_TOKEN") && allows("GOOGLE_*", "GOOGLE_API_KEY") && allows("*", "GITHUB_TOKEN")
        );
        assert!(!allows("GITHUB_TOKEN", "GITHUB_TOKEN_2") && !allows("GITHUB_*", "MY_GITHUB_"));
        assert!(!allows("github_token", "GITHUB_TOKEN"));
    }

    #[test]
    fn what_decides_which_code_runs_is_allowed_by_its_exact_name_only() {
        let names = [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "DYLD_INSERT_LIBRARIES",
            "NODE_OPTIONS",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PERL5OPT",
            "RUBYOPT",
            "BASH_ENV",
            "PATH",
            "HOME",
            "JAVA_TOOL_OPTIONS",
            "npm_config_script_shell",
            "NPM_CONFIG_REGISTRY",
            "GIT_SSH_COMMAND",
            "UV_INDEX_URL",
            "BASH_FUNC_ls%%",
            "ld_preload",
        ];

        for name in names {
            assert!(!allows("*", name) && !allows(&format!("{}*", &name[..2]), name), "{name}");
            assert!(allows(name, name), "{name}");
        }
    }
}
