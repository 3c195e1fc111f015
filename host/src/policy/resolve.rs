//! From the names of secrets to their values, for one process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::{
    mask::Mask,
    patterns::Patterns,
    secret::{NoSecrets, Secret, SecretError, SecretRequest, SecretStore},
    template::{Part, Template},
};
use crate::names::{SecretName, ServerName, TenantName, UserName};

/// Bytes of a secret: execve(2) takes no longer string (`MAX_ARG_STRLEN`).
const MOST_BYTES: usize = 128 * 1024;

/// Where the secrets of one session come from, and what is hidden of it since.
#[derive(Clone)]
pub(crate) struct SessionSecrets {
    store: Arc<dyn SecretStore>,
    mask: Arc<Mask>,
}

impl Default for SessionSecrets {
    fn default() -> Self {
        Self::new(Arc::new(NoSecrets))
    }
}

/// For whom a process is started.
pub(crate) struct Asker {
    pub(crate) tenant: TenantName,
    pub(crate) user: Option<UserName>,
    pub(crate) server: ServerName,
}

/// The variables of one process.
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
    name: SecretName,
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
        write!(f, "its secret `{}` cannot be had: {}", self.name, self.error)
    }
}

impl SessionSecrets {
    pub(crate) fn new(store: Arc<dyn SecretStore>) -> Self {
        Self { store, mask: Arc::default() }
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
        let known = variables.values().flat_map(Template::parts).filter_map(|part| match part {
            Part::Variable(value) => Some(Zeroizing::new(value.clone())),
            Part::Text(_) | Part::Secret(_) => None,
        });
        let had = secrets.values().flatten().map(|secret| Zeroizing::new(secret.expose().to_owned()));
        let patterns = self.mask.learn(known.chain(had).collect());

        let mut values = BTreeMap::new();
        for (name, secret) in secrets {
            let failed = |error: SecretError| {
                // A store may quote what it was asked for by others.
                let reason = self.mask.text(&error.to_string()).into_owned();
                let error =
                    if error.is_temporary() { SecretError::unavailable(reason) } else { SecretError::new(reason) };
                Unresolved { name: name.clone(), error }
            };
            values.insert(name.clone(), secret.map_err(failed)?);
        }
        let filled = variables.iter().filter_map(|(name, value)| Some((name.clone(), value.fill(&values)?)));
        Ok(Resolved { variables: filled.collect(), patterns })
    }

    async fn ask(
        &self,
        variables: &BTreeMap<String, Template>,
        asker: &Asker,
    ) -> BTreeMap<SecretName, Result<Secret, SecretError>> {
        let names: BTreeSet<&SecretName> = variables.values().flat_map(Template::secrets).collect();
        let mut asked = JoinSet::new();
        for name in &names {
            let request = SecretRequest {
                tenant: asker.tenant.clone(),
                user: asker.user.clone(),
                server: asker.server.clone(),
                name: SecretName::clone(name),
            };
            let (name, answer) = (request.name.clone(), self.store.resolve(request));
            // Dropped with this future, they end.
            asked.spawn(async move { (name, answer.await.and_then(bounded)) });
        }
        let mut answers = BTreeMap::new();
        while let Some(answer) = asked.join_next().await {
            answers.extend(answer.ok());
        }
        for name in names {
            let panicked = || Err(SecretError::unavailable("the store of secrets failed without an answer"));
            answers.entry(name.clone()).or_insert_with(panicked);
        }
        answers
    }
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
    use super::*;
    use crate::future::BoxFuture;

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
                Some(secret) => Part::Secret(secret.into()),
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

    #[tokio::test]
    async fn a_runtime_without_a_store_says_so() {
        let error = resolve(&SessionSecrets::default(), &[("A", &["$a"])]).await.err().unwrap();

        assert!(error.to_string().contains("no store of secrets") && !error.is_temporary(), "{error}");
    }
}
