//! From the names of secrets to their values, for one process or one request.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::{
    mask::Mask,
    patterns::Patterns,
    secret::{NoSecrets, Secret, SecretError, SecretRequest, SecretStore},
    template::{Reference, Template},
};
use crate::{
    future::BoxFuture,
    names::{ServerName, TenantName, UserName},
};

/// Bytes of a secret: execve(2) takes no longer string (`MAX_ARG_STRLEN`).
const MOST_BYTES: usize = 128 * 1024;

/// Where the secrets of one session come from, and what is hidden of it since.
#[derive(Clone)]
pub(crate) struct SessionSecrets {
    store: Arc<dyn SecretStore>,
    mask: Arc<Mask>,
    /// What is hidden besides, whatever is resolved.
    known: Arc<[Zeroizing<String>]>,
}

impl Default for SessionSecrets {
    fn default() -> Self {
        Self::new(Arc::new(NoSecrets))
    }
}

/// For whom a process is started, or a request made.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) tenant: TenantName,
    pub(crate) user: Option<UserName>,
    pub(crate) server: ServerName,
}

/// The variables of one process, or the header fields of one request.
pub(crate) struct Resolved {
    pub(crate) variables: Variables,
    /// What is hidden in what it says.
    pub(crate) patterns: Arc<Patterns>,
}

/// Variables with their values.
pub(crate) type Variables = BTreeMap<String, Zeroizing<String>>;

/// A secret that could not be had.
#[derive(Debug)]
pub(crate) struct Unresolved {
    reference: Reference,
    error: SecretError,
}

impl Unresolved {
    /// Whether another try may help.
    pub(crate) fn is_temporary(&self) -> bool {
        self.error.is_temporary()
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its {} cannot be had: {}", self.reference, self.error)
    }
}

impl SessionSecrets {
    pub(crate) fn new(store: Arc<dyn SecretStore>) -> Self {
        Self { store, mask: Arc::default(), known: Arc::new([]) }
    }

    /// The same with values that are known already, which are hidden from here on.
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "nobody makes exchanges without it"))]
    pub(crate) fn knowing(self, known: Vec<Zeroizing<String>>) -> Self {
        self.mask.learn(known.clone());
        Self { known: known.into(), ..self }
    }

    /// What is hidden in all that is shown of the session.
    pub(crate) fn mask(&self) -> &Arc<Mask> {
        &self.mask
    }

    /// Asks for the secrets of the variables, all at a time. From here on their values are hidden.
    pub(crate) async fn resolve(
        &self,
        variables: &BTreeMap<String, Template>,
        asker: &Asker,
    ) -> Result<Resolved, Unresolved> {
        let secrets = self.ask(variables, asker).await;
        let known = variables.values().flat_map(Template::variables).map(|value| Zeroizing::new(value.to_owned()));
        let had = secrets.values().flatten().map(|secret| Zeroizing::new(secret.expose().to_owned()));
        let patterns = self.mask.learn(known.chain(had).chain(self.known.iter().cloned()).collect());

        let mut values = BTreeMap::new();
        for (reference, secret) in secrets {
            let failed = |error: SecretError| {
                // A store may quote what it was asked for by others.
                let reason = self.mask.text(&error.to_string()).into_owned();
                let error =
                    if error.is_temporary() { SecretError::unavailable(reason) } else { SecretError::new(reason) };
                Unresolved { reference: reference.clone(), error }
            };
            values.insert(reference.clone(), secret.map_err(failed)?);
        }
        let filled = variables.iter().filter_map(|(name, value)| Some((name.clone(), value.fill(&values)?)));
        Ok(Resolved { variables: filled.collect(), patterns })
    }

    async fn ask(
        &self,
        variables: &BTreeMap<String, Template>,
        asker: &Asker,
    ) -> BTreeMap<Reference, Result<Secret, SecretError>> {
        let references: BTreeSet<&Reference> = variables.values().flat_map(Template::references).collect();
        let mut asked = JoinSet::new();
        for reference in &references {
            let answer = self.answer(reference, asker);
            let reference = Reference::clone(reference);
            // Dropped with this future, they end.
            asked.spawn(async move { (reference, answer.await.and_then(bounded)) });
        }
        let mut answers = BTreeMap::new();
        while let Some(answer) = asked.join_next().await {
            answers.extend(answer.ok());
        }
        for reference in references {
            let panicked = || Err(SecretError::unavailable("the store of secrets failed without an answer"));
            answers.entry(reference.clone()).or_insert_with(panicked);
        }
        answers
    }

    fn answer(&self, reference: &Reference, asker: &Asker) -> BoxFuture<'static, Result<Secret, SecretError>> {
        match reference {
            Reference::Secret(name) => self.store.resolve(SecretRequest {
                tenant: asker.tenant.clone(),
                user: asker.user.clone(),
                server: asker.server.clone(),
                name: name.clone(),
            }),
            Reference::File(path) => {
                let path = path.clone();
                // It may be on a slow disk: not on the embedder's workers.
                let reading = tokio::task::spawn_blocking(move || read(&path));
                Box::pin(async move {
                    let read = reading.await.map_err(|error| SecretError::unavailable(error.to_string()))?;
                    read.map_err(|error| match error.kind() {
                        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidData => {
                            SecretError::new(error.to_string())
                        }
                        _ => SecretError::unavailable(error.to_string()),
                    })
                })
            }
        }
    }
}

/// The content of a file without the end of its last line, which editors and `echo` add.
fn read(path: &Path) -> io::Result<Secret> {
    let mut text = Zeroizing::new(String::with_capacity(MOST_BYTES + 1));
    fs::File::open(path)?.take(MOST_BYTES as u64 + 1).read_to_string(&mut text)?;
    let value = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(value.strip_suffix('\r').unwrap_or(value)))
}

fn bounded(secret: Secret) -> Result<Secret, SecretError> {
    if secret.expose().len() > MOST_BYTES {
        let reason = format!("it has more than {} KiB, which no variable can have", MOST_BYTES / 1024);
        return Err(SecretError::new(reason));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::{super::template::Part, *};

    /// Has `a`, `b` and what is too large; `down` is not there at present, and `bug` never answers.
    struct Store;

    impl SecretStore for Store {
        fn resolve(&self, request: SecretRequest) -> BoxFuture<'static, Result<Secret, SecretError>> {
            Box::pin(async move {
                match request.name.as_str() {
                    name @ ("a" | "b") => {
                        Ok(Secret::new(format!("{name}-of-{}-{}", request.tenant, request.user.unwrap())))
                    }
                    "large" => Ok(Secret::new("x".repeat(MOST_BYTES + 1))),
                    "down" => Err(SecretError::unavailable("the vault is sealed, not that of a-of-acme-alice")),
                    "bug" => panic!("a fault of the store"),
                    _ => Err(SecretError::new("there is none of this name")),
                }
            })
        }
    }

    async fn resolve(secrets: &SessionSecrets, variables: &[(&str, &[&str])]) -> Result<Resolved, Unresolved> {
        let variables = variables.iter().map(|(name, parts)| {
            let part = |part: &&str| match part.strip_prefix('$') {
                Some(secret) => Part::Reference(Reference::Secret(secret.into())),
                None => Part::Text((*part).to_owned()),
            };
            ((*name).to_owned(), Template(parts.iter().map(part).collect()))
        });
        let asker = Asker { tenant: "acme".into(), user: Some("alice".into()), server: "server".into() };
        secrets.resolve(&variables.collect(), &asker).await
    }

    #[tokio::test]
    async fn secrets_are_filled_in_where_they_stand_and_hidden_from_then_on() {
        let secrets = SessionSecrets::new(Arc::new(Store));

        let variables: &[(&str, &[&str])] = &[("PLAIN", &["text"]), ("BOTH", &["<", "$a", "|", "$b", "|", "$a", ">"])];
        let resolved = resolve(&secrets, variables).await.unwrap();

        assert_eq!(resolved.variables["PLAIN"].as_str(), "text");
        assert_eq!(resolved.variables["BOTH"].as_str(), "<a-of-acme-alice|b-of-acme-alice|a-of-acme-alice>");
        assert_eq!(secrets.mask().text("text a-of-acme-alice"), "text ***");
    }

    #[tokio::test]
    async fn what_cannot_be_had_says_which_and_whether_to_try_again() {
        let cases: [(&[&str], &str, bool); 4] = [
            (&["$none"], "its secret `none` cannot be had: there is none of this name", false),
            (
                &["$large"],
                "its secret `large` cannot be had: it has more than 128 KiB, which no variable can have",
                false,
            ),
            (&["$bug"], "its secret `bug` cannot be had: the store of secrets failed without an answer", true),
            (&["$a", "$down"], "its secret `down` cannot be had: the vault is sealed, not that of ***", true),
        ];

        for (parts, said, temporary) in cases {
            let secrets = SessionSecrets::new(Arc::new(Store));

            let error = resolve(&secrets, &[("VARIABLE", parts)]).await.err().unwrap();

            assert_eq!((error.to_string().as_str(), error.is_temporary()), (said, temporary));
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_file_is_read_anew_each_time_and_is_a_secret() {
        let path = std::env::temp_dir().join(format!("innkeeper-secret-{}", std::process::id()));
        let secrets = SessionSecrets::default();
        let variables = BTreeMap::from([("A".to_owned(), Template::file(&path).after("Bearer "))]);
        let asker = Asker { tenant: "acme".into(), user: None, server: "server".into() };
        let mut values = Vec::new();
        for content in ["first-token", "second-token\r\n"] {
            fs::write(&path, content).unwrap();
            let resolved = secrets.resolve(&variables, &asker).await.unwrap();
            values.push(resolved.variables["A"].to_string());
        }
        fs::remove_file(&path).unwrap();

        assert_eq!(values, ["Bearer first-token", "Bearer second-token"]);
        assert_eq!(secrets.mask().text("first-token second-token"), "*** ***");
        let error = secrets.resolve(&variables, &asker).await.err().unwrap();
        assert!(error.to_string().contains("its file `") && !error.is_temporary(), "{error}");
    }

    #[tokio::test]
    async fn a_runtime_without_a_store_says_so() {
        let error = resolve(&SessionSecrets::default(), &[("A", &["$a"])]).await.err().unwrap();

        assert!(error.to_string().contains("no store of secrets") && !error.is_temporary(), "{error}");
    }
}
