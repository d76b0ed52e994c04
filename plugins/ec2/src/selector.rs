use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use dr_aws::marks;
use dr_plugin::{CallError, CallKey};
use schemars::JsonSchema;
use serde::Deserialize;

/// Which ones are meant: by id, or by name and tags.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Selector {
    /// One id.
    #[serde(default)]
    pub(crate) id: Option<String>,
    /// Several ids.
    #[serde(default)]
    pub(crate) ids: Vec<String>,
    /// The tag `Name`, exactly.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Other tags, exactly; all must fit.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    /// How many may fit a name or tags. More is an error, before anything is touched. Default 1.
    #[serde(default)]
    pub(crate) max_matches: Option<u32>,
    /// Of those that fit, only the one that was made last.
    #[serde(default)]
    pub(crate) newest: bool,
}

/// Something that a selector can find.
pub(crate) trait Selectable {
    /// What it is called in messages.
    const KIND: &'static str;
    /// Its id.
    fn id(&self) -> &str;
    /// Its tags.
    fn tags(&self) -> &[Tag];
    /// When it was made, as a number that only compares.
    fn made(&self) -> i64;
}

/// The value of a tag.
pub(crate) fn tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value())
}

/// `instance i-0abc (web-1)`.
pub(crate) fn title<T: Selectable>(found: &T) -> String {
    match tag(found.tags(), "Name") {
        Some(name) => format!("{} {} ({name})", T::KIND, found.id()),
        None => format!("{} {}", T::KIND, found.id()),
    }
}

impl Selector {
    /// The ids that are named.
    ///
    /// # Errors
    /// A permanent `bad_input`: nothing or too much is named.
    pub(crate) fn named(&self) -> Result<Vec<String>, CallError> {
        let mut ids = self.ids.clone();
        ids.extend(self.id.clone());
        let by_name = self.name.is_some() || !self.tags.is_empty();
        match (ids.is_empty(), by_name) {
            (true, false) => {
                Err(CallError::permanent("bad_input", "say which: by `id`, `name` or `tags`"))
            }
            (false, true) => {
                Err(CallError::permanent("bad_input", "`id` and `ids` exclude `name` and `tags`"))
            }
            _ => Ok(ids),
        }
    }

    /// What the API is asked for.
    pub(crate) fn filters(&self) -> Vec<Filter> {
        let name = self.name.iter().map(|name| ("Name", name));
        let tags = self.tags.iter().map(|(key, value)| (key.as_str(), value));
        name.chain(tags)
            .map(|(key, value)| Filter::builder().name(format!("tag:{key}")).values(value).build())
            .collect()
    }

    /// Those of `found` that are meant; at least one, and not more than the limit.
    ///
    /// # Errors
    /// Permanent `no_match` and `several_matches`.
    pub(crate) fn choose<T: Selectable>(&self, found: Vec<T>) -> Result<Vec<T>, CallError> {
        let ids = self.named()?;
        // The API takes `*` and `?` for wildcards.
        let fits = |it: &T| {
            let name = self.name.as_deref();
            (ids.is_empty() || ids.iter().any(|id| id == it.id()))
                && name.is_none_or(|name| tag(it.tags(), "Name") == Some(name))
                && self.tags.iter().all(|(key, value)| tag(it.tags(), key) == Some(value))
        };
        let mut chosen: Vec<T> = found.into_iter().filter(fits).collect();
        chosen.sort_by(|a, b| b.made().cmp(&a.made()).then_with(|| a.id().cmp(b.id())));
        if self.newest {
            chosen.truncate(1);
        }
        let kind = T::KIND;
        if chosen.is_empty() || chosen.len() < ids.len() {
            let missing = ids.iter().find(|id| !chosen.iter().any(|it| it.id() == id.as_str()));
            let what = missing.map_or_else(|| format!("with {}", self.words()), quoted);
            return Err(no_match(kind, &what));
        }
        let limit = self.max_matches.unwrap_or(1) as usize;
        if ids.is_empty() && chosen.len() > limit {
            let shown: Vec<String> = chosen.iter().take(8).map(title).collect();
            return Err(CallError::permanent(
                "several_matches",
                format!(
                    "{} {kind}s have {}, at most {limit} may: {}",
                    chosen.len(),
                    self.words(),
                    shown.join(", ")
                ),
            )
            .with_help("name the id, add tags, or raise `max_matches`"));
        }
        Ok(chosen)
    }

    /// The one that is meant.
    ///
    /// # Errors
    /// As for [`Selector::choose`].
    pub(crate) fn choose_one<T: Selectable>(&self, found: Vec<T>) -> Result<T, CallError> {
        let one = Self { max_matches: Some(1), ..self.clone() };
        let mut chosen = one.choose(found)?;
        if chosen.len() > 1 {
            return Err(CallError::permanent("bad_input", format!("one {} is wanted", T::KIND)));
        }
        chosen.pop().ok_or_else(|| no_match(T::KIND, &format!("with {}", self.words())))
    }

    fn words(&self) -> String {
        let name = self.name.iter().map(|name| format!("name `{name}`"));
        let tags = self.tags.iter().map(|(key, value)| format!("tag `{key}={value}`"));
        name.chain(tags).collect::<Vec<_>>().join(" and ")
    }
}

/// Ids in messages.
pub(crate) fn quoted(id: impl std::fmt::Display) -> String {
    format!("`{id}`")
}

/// There is no such thing; `what` is a [`quoted`] id or how it was looked for.
pub(crate) fn no_match(kind: &str, what: &str) -> CallError {
    CallError::permanent(format!("no_such_{kind}"), format!("there is no {kind} {what}"))
        .with_help("check the id or tags, and that `region` and profile are those where it lives")
}

/// The tags of something that is made: its name, those wanted, and those that find it again.
pub(crate) fn tagged(
    kind: ResourceType,
    key: &CallKey,
    name: Option<&str>,
    wanted: &BTreeMap<String, String>,
) -> TagSpecification {
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let mut tags: Vec<Tag> = marks(key).iter().map(|(key, value)| tag(key, value)).collect();
    tags.extend(name.map(|name| tag("Name", name)));
    tags.extend(wanted.iter().map(|(key, value)| tag(key, value)));
    TagSpecification::builder().resource_type(kind).set_tags(Some(tags)).build()
}

/// Finds what this attempt has made.
pub(crate) fn made_by(key: &CallKey) -> Filter {
    Filter::builder()
        .name(format!("tag:{}", dr_aws::KEY_TAG))
        .values(dr_aws::client_token(key))
        .build()
}

/// Finds what any attempt of the step has made.
pub(crate) fn made_by_step(key: &CallKey) -> Vec<Filter> {
    let tags = dr_aws::marks_of_step(key).into_iter();
    tags.map(|(name, value)| Filter::builder().name(format!("tag:{name}")).values(value).build())
        .collect()
}

/// Tags as a map, for results.
pub(crate) fn map(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter()
        .map(|tag| {
            (tag.key().unwrap_or_default().to_owned(), tag.value().unwrap_or_default().to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(&'static str, Vec<Tag>, i64);

    impl Selectable for Thing {
        const KIND: &'static str = "thing";
        fn id(&self) -> &str {
            self.0
        }
        fn tags(&self) -> &[Tag] {
            &self.1
        }
        fn made(&self) -> i64 {
            self.2
        }
    }

    fn things() -> Vec<Thing> {
        let named = |name: &str| vec![Tag::builder().key("Name").value(name).build()];
        vec![
            Thing("t-1", named("web"), 1),
            Thing("t-2", named("web"), 2),
            Thing("t-3", named("webs"), 3),
        ]
    }

    fn chosen(selector: &Selector) -> Result<Vec<&'static str>, String> {
        let chosen = selector.choose(things()).map_err(|error| error.code)?;
        Ok(chosen.into_iter().map(|it| it.0).collect())
    }

    #[test]
    fn no_more_are_chosen_than_may_be() {
        let by = |name: &str| Selector { name: Some(name.into()), ..Selector::default() };
        assert_eq!(chosen(&by("webs")), Ok(vec!["t-3"]));
        assert_eq!(chosen(&by("web")), Err("several_matches".into()));
        assert_eq!(chosen(&Selector { max_matches: Some(2), ..by("web") }), Ok(vec!["t-2", "t-1"]));
        assert_eq!(chosen(&Selector { newest: true, ..by("web") }), Ok(vec!["t-2"]));
        assert_eq!(chosen(&by("we*")), Err("no_such_thing".into()));
        assert_eq!(chosen(&Selector::default()), Err("bad_input".into()));
        let ids = |ids: &[&str]| Selector {
            ids: ids.iter().map(|id| (*id).into()).collect(),
            ..Selector::default()
        };
        assert_eq!(chosen(&ids(&["t-1", "t-3"])), Ok(vec!["t-3", "t-1"]));
        assert_eq!(chosen(&ids(&["t-1", "t-9"])), Err("no_such_thing".into()));
        assert_eq!(
            chosen(&Selector { name: Some("web".into()), ..ids(&["t-1"]) }),
            Err("bad_input".into())
        );
    }
}
