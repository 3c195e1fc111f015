//! What is read from a file that is as it should be.

use std::time::Duration;

use super::*;

#[test]
fn a_command_is_a_stdio_server() {
    let entry = entry(
        r#""command": "npx", "args": ["-y", "server", "--key=${TOKEN}"], "env": {"A": "${NONE:-b}"}, "cwd": "/srv",
           "type": "stdio", "timeout": "1m30s""#,
    );

    let Transport::Stdio { command, args, env, cwd, .. } = entry.transport else { panic!("not stdio") };
    assert_eq!(command.value(), "npx");
    assert_eq!(args.iter().map(Expanded::value).collect::<Vec<_>>(), ["-y", "server", &format!("--key={SECRET}")]);
    assert_eq!(env["A"].value(), "b");
    assert_eq!(cwd.as_ref().map(Expanded::value), Some("/srv"));
    assert_eq!(entry.timeout, Some(Duration::from_secs(90)));
    assert!(!entry.disabled);
    assert_eq!(entry.line, 1);
}

#[test]
fn a_url_is_an_http_server_under_each_of_its_names() {
    for kind in ["http", "streamable-http", "streamableHttp", "sse"] {
        let inside = format!(
            r#""type": "{kind}", "url": "https://example.com/mcp", "headers": {{"Authorization": "Bearer ${{TOKEN}}"}}"#
        );

        let Transport::Http { url, headers, sse, .. } = entry(&inside).transport else { panic!("not http") };

        assert_eq!(sse, kind == "sse");
        assert_eq!(url.value(), "https://example.com/mcp");
        assert_eq!(headers["Authorization"].value(), format!("Bearer {SECRET}"));
    }
}

#[test]
fn a_variable_of_the_server_may_name_secrets_inside_of_a_longer_value() {
    let entry =
        entry(r#""command": "a", "env": {"URL": "https://${secret:team/user}:${secret:team/key}@host/${TOKEN}"}"#);

    let Transport::Stdio { env, .. } = entry.transport else { panic!("not stdio") };
    let secrets = env["URL"].parts().filter_map(|part| match part {
        Part::Secret(name) => Some(name.to_string()),
        Part::Text(_) | Part::Variable(_) | Part::File(_) => None,
    });
    assert_eq!(secrets.collect::<Vec<_>>(), ["team/user", "team/key"]);
    assert_eq!(env["URL"].value(), format!("https://${{secret:team/user}}:${{secret:team/key}}@host/{SECRET}"));
}

#[test]
fn a_server_at_a_url_has_a_proxy_certificates_and_secrets() {
    let entry = entry(
        r#""url": "https://host/", "headers": {"Authorization": "Bearer ${secret:a}", "X-Key": "${file:/run/key}"},
           "proxy": "http://proxy:3128", "caCertificates": "/ca.pem", "clientCertificate": "/me.pem", "privateAddresses": true"#,
    );

    let Transport::Http { headers, proxy, ca_certificates, client_certificate, private_addresses, .. } =
        entry.transport
    else {
        panic!("not http")
    };
    assert!(matches!(headers["Authorization"].parts().nth(1), Some(Part::Secret(name)) if name.as_str() == "a"));
    assert!(matches!(headers["X-Key"].parts().next(), Some(Part::File(_))));
    assert_eq!(proxy.as_ref().map(Expanded::value), Some("http://proxy:3128"));
    assert_eq!(ca_certificates.as_ref().map(Expanded::value), Some("/ca.pem"));
    assert_eq!(client_certificate.as_ref().map(Expanded::value), Some("/me.pem"));
    assert!(private_addresses);
}

#[test]
fn everything_but_the_command_may_be_left_out() {
    let entry = entry(r#""command": "server""#);

    let Transport::Stdio { args, env, cwd, .. } = entry.transport else { panic!("not stdio") };
    assert!(args.is_empty() && env.is_empty() && cwd.is_none());
    assert_eq!(entry.timeout, None);
}

#[test]
fn a_server_is_guarded_unless_its_entry_says_otherwise() {
    let cases = [
        ("", (Isolation::Guarded, false)),
        (r#", "isolation": "guarded""#, (Isolation::Guarded, false)),
        (r#", "isolation": "basic""#, (Isolation::Basic, false)),
        (r#", "allowPrivileges": true"#, (Isolation::Basic, true)),
        (r#", "allowPrivileges": false"#, (Isolation::Guarded, false)),
        (r#", "isolation": "basic", "allowPrivileges": true"#, (Isolation::Basic, true)),
    ];

    for (inside, expected) in cases {
        let entry = entry(&format!(r#""command": "server"{inside}"#));

        let Transport::Stdio { isolation, allow_privileges, .. } = entry.transport else { panic!("not stdio") };
        assert_eq!((isolation, allow_privileges), expected, "{inside}");
    }
}

#[test]
fn an_entry_may_say_whose_home_its_server_has() {
    for (inside, expected) in
        [("", None), (r#", "inheritHome": true"#, Some(true)), (r#", "inheritHome": false"#, Some(false))]
    {
        let entry = entry(&format!(r#""command": "server"{inside}"#));

        let Transport::Stdio { inherit_home, .. } = entry.transport else { panic!("not stdio") };
        assert_eq!(inherit_home, expected, "{inside}");
    }
}

#[test]
fn an_entry_may_limit_what_its_processes_use() {
    let limits = |inside: &str| {
        let entry = entry(&format!(r#""command": "server"{inside}"#));
        let Transport::Stdio { limits, .. } = entry.transport else { panic!("not stdio") };
        limits
    };
    let all = ProcessLimits {
        address_space: Some(4 << 30),
        open_files: Some(1024),
        cpu_seconds: Some(600),
        core_files: true,
    };
    let one = ProcessLimits { cpu_seconds: Some(90), ..ProcessLimits::default() };

    let given = r#", "limits": {"addressSpace": "4GiB", "openFiles": 1024, "cpuTime": "10m", "coreFiles": true}"#;
    assert_eq!(limits(given), all);
    assert_eq!(limits(r#", "limits": {"cpuTime": "1m30s"}"#), one);
    for nothing in ["", r#", "limits": {}"#, r#", "limits": {"coreFiles": false}"#] {
        assert_eq!(limits(nothing), ProcessLimits::default(), "{nothing}");
    }
}

#[test]
fn entries_know_their_lines_through_comments_and_trailing_commas() {
    let inspection = inspect(
        "// mine\n{\n  \"mcpServers\": {\n    /* two\n       lines */\n    \"a\": {\"command\": \"a\",},\n    \"b\": {\n      \
         \"command\": \"b\"\n    },\n  },\n}\n",
    );

    assert_eq!(inspection.errors, []);
    assert_eq!(inspection.config.servers["a"].line, 6);
    assert_eq!(inspection.config.servers["b"].line, 7);
}

#[test]
fn names_may_hold_dots_spaces_and_letters_of_all_scripts() {
    let inspection = inspect(r#"{"mcpServers": {"my.server": {"command": "a"}, "zwölf Server": {"command": "b"}}}"#);

    assert_eq!(inspection.errors, []);
    assert_eq!(inspection.config.servers.keys().collect::<Vec<_>>(), ["my.server", "zwölf Server"]);
}

#[test]
fn a_disabled_server_may_lack_its_variables() {
    let inspection = inspect_entry(r#""command": "a", "disabled": true, "args": ["${NONE}"]"#);

    assert_eq!(errors(&inspection), [""; 0]);
    assert!(inspection.config.servers["s"].disabled);
    assert_eq!(
        warnings(&inspection),
        ["mcp.json:2: mcpServers.s.args[0]: the variable NONE is not set; the server is disabled, so this can wait"]
    );
}

#[test]
fn a_disabled_server_does_not_excuse_the_next() {
    let inspection =
        inspect(r#"{"mcpServers": {"a": {"command": "${NONE}", "disabled": true}, "b": {"command": "${NONE}"}}}"#);

    assert_eq!(inspection.errors.len(), 1);
    assert_eq!(inspection.errors[0].key.as_deref(), Some("mcpServers.b.command"));
}

#[test]
fn a_disabled_server_may_lack_the_variable_of_its_url() {
    let inspection = inspect_entry(r#""url": "${NONE}", "disabled": true"#);

    assert_eq!(errors(&inspection), [""; 0]);
}

fn tools(inside: &str) -> ToolsEntry {
    entry(&format!(r#""command": "server"{inside}"#)).tools
}

#[test]
fn an_entry_may_say_which_tools_may_be_used_and_what_they_are_called() {
    let all = tools(
        r#", "tools": {"allow": ["get_*"], "deny": ["get_secret"], "rename": {"get_x": "x"}, "describe": {"get_x": "X."}, "trustIdempotenceHints": true}"#,
    );

    assert_eq!(all.allow, Some(vec!["get_*".to_owned()]));
    assert_eq!(all.deny, ["get_secret"]);
    assert_eq!(all.rename["get_x"], "x");
    assert_eq!(all.describe["get_x"], "X.");
    assert_eq!(all.trust_idempotence_hints, Some(true));
    for nothing in ["", r#", "tools": {}"#, r#", "tools": {"deny": []}"#] {
        assert_eq!(tools(nothing), ToolsEntry::default(), "{nothing}");
    }
}

#[test]
fn lists_of_tools_are_read_under_the_names_that_other_programs_have_for_them() {
    for name in ["tools", "includeTools", "enabledTools", "enabled_tools"] {
        let read = tools(&format!(r#", "{name}": ["a", "b"]"#));
        assert_eq!(read.allow, Some(vec!["a".to_owned(), "b".to_owned()]), "{name}");
        assert!(read.deny.is_empty());
    }
    for name in ["excludeTools", "disabledTools", "disabled_tools"] {
        let read = tools(&format!(r#", "{name}": ["a"], "tools": {{"allow": ["*"]}}"#));
        assert_eq!((read.allow.as_deref(), read.deny), (Some(&["*".to_owned()][..]), vec!["a".to_owned()]), "{name}");
    }
}

#[test]
fn the_rules_of_an_entry_are_those_of_its_server() {
    let inside = r#""command": "server", "tools": {"allow": [], "rename": {"a": "b"}, "trustIdempotenceHints": false}"#;
    let file = inspect_entry(inside).into_result().unwrap();

    let catalog = crate::Catalog::from_mcp_json(&file);

    let rules = catalog.get(&"s".into()).unwrap().rules_for_tools().clone();
    let same = crate::ToolRules::new().allow_only_listed().rename("a", "b").trust_idempotence_hints(false);
    assert_eq!(rules, same);
}
