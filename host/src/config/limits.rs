//! The `limits` of an entry: what each process of its server may use.
//!
//! Each limit is one that setrlimit(2) has, so each has the unit that it has there: whole seconds on a processor, whole files.
//! What cannot be met exactly is refused rather than rounded.

use jsonc_parser::ast::Value;

use super::{
    context::{Context, KeyPath},
    duration::parse_duration,
    keys::OF_LIMITS,
    size::{SizeError, parse_size},
};
use crate::ProcessLimits;

/// Reads the object of limits. What is wrong with it is reported.
pub(super) fn read(context: &mut Context<'_>, key: &KeyPath, value: &Value<'_>) -> ProcessLimits {
    let members = context.members(key, value).unwrap_or_default();
    let member = |name: &str| members.get(name).map(|property| (key.member(name), &property.value));

    let limits = ProcessLimits {
        address_space: member("addressSpace").and_then(|(key, value)| size(context, &key, value)),
        open_files: member("openFiles").and_then(|(key, value)| count(context, &key, value)),
        cpu_seconds: member("cpuTime").and_then(|(key, value)| seconds(context, &key, value)),
        core_files: member("coreFiles").and_then(|(key, value)| context.boolean(&key, value)).unwrap_or(false),
    };
    OF_LIMITS.warn_of_others(context, key, &members);
    limits
}

/// Bytes.
fn size(context: &mut Context<'_>, key: &KeyPath, value: &Value<'_>) -> Option<u64> {
    let text = context.quantity(key, value, "write one like \"4GiB\"")?;
    match parse_size(text) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let hint = match error {
                SizeError::NoUnit => format!("write one like \"{text}MiB\" or \"{text}GiB\""),
                _ => String::new(),
            };
            context.error(value, key, error.to_string(), &hint);
            None
        }
    }
}

/// A whole number from 1 on. No system has as many files as the largest that is taken.
fn count(context: &mut Context<'_>, key: &KeyPath, value: &Value<'_>) -> Option<u64> {
    let Value::NumberLit(number) = value else {
        return context.wrong_type(key, value, "a number", "write one like 1024");
    };
    match number.value.parse::<u32>() {
        Ok(count @ 1..) => Some(count.into()),
        _ => {
            context.error(value, key, "is not a whole number from 1 to 4294967295", "write one like 1024");
            None
        }
    }
}

/// Whole seconds.
fn seconds(context: &mut Context<'_>, key: &KeyPath, value: &Value<'_>) -> Option<u64> {
    let text = context.quantity(key, value, "write one like \"10m\"")?;
    let time = match parse_duration(text) {
        Ok(time) => time,
        Err(error) => {
            context.refuse_duration(key, value, error, &format!("write one like \"{text}s\" or \"{text}m\""));
            return None;
        }
    };
    if time.subsec_nanos() > 0 {
        context.error(value, key, "is not in whole seconds, as processor time is counted", "write one like \"10s\"");
        return None;
    }
    Some(time.as_secs())
}
