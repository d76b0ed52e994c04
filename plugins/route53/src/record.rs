use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A record set, with everything that Route 53 keeps of it: what was read can be put back exactly.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Its name, in full: `shop.example.com`.
    pub(crate) name: String,
    /// Its type: `A`, `AAAA`, `CNAME`, `TXT`, …
    pub(crate) r#type: String,
    /// Seconds that resolvers may keep it. Default 60; not for an alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ttl: Option<i64>,
    /// Its values, as Route 53 writes them (texts in quotes).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) values: Vec<String>,
    /// The AWS resource or record that it stands for, instead of values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alias: Option<Alias>,
    /// Tells record sets of the same name and type apart; needed by all kinds below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) set_identifier: Option<String>,
    /// Share of the answers, 0 to 255, among the record sets of this name and type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<i64>,
    /// `PRIMARY` or `SECONDARY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failover: Option<String>,
    /// The region that its latency is measured to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// One of up to eight answers given at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) multivalue: Option<bool>,
    /// Id of the health check that takes it out of the answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) health_check: Option<String>,
    /// Where the asking resolver is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) geolocation: Option<Geolocation>,
    /// How near the asking resolver is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) geoproximity: Option<Geoproximity>,
    /// Which addresses ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cidr: Option<Cidr>,
    /// The traffic policy instance that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) traffic_policy_instance: Option<String>,
}

/// What an alias stands for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alias {
    /// Hosted zone of the target: the one of the AWS service, or this one.
    pub(crate) zone_id: String,
    /// DNS name of the target.
    pub(crate) name: String,
    /// Whether an unhealthy target is taken out of the answers.
    #[serde(default)]
    pub(crate) evaluate_target_health: bool,
}

/// A part of the world.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Geolocation {
    /// Continent code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) continent: Option<String>,
    /// Country code; `*` is everywhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) country: Option<String>,
    /// State of the country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subdivision: Option<String>,
}

/// A place, and how far it reaches.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Geoproximity {
    /// An AWS region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// A local zone group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) local_zone_group: Option<String>,
    /// Latitude and longitude.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) coordinates: Option<[String; 2]>,
    /// −99 to 99.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bias: Option<i32>,
}

/// A list of address blocks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cidr {
    /// The collection.
    pub(crate) collection: String,
    /// The location in it.
    pub(crate) location: String,
}

/// What tells record sets apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) set: Option<String>,
}

impl Record {
    pub(crate) fn identity(&self) -> Identity {
        Identity {
            name: canonical(&self.name),
            kind: self.r#type.to_ascii_uppercase(),
            set: self.set_identifier.clone(),
        }
    }

    /// As Route 53 would give it back.
    pub(crate) fn normal(&self) -> Self {
        let mut record = self.clone();
        record.name = canonical(&self.name);
        record.r#type = self.r#type.to_ascii_uppercase();
        if record.alias.is_none() && record.ttl.is_none() && !record.values.is_empty() {
            record.ttl = Some(60);
        }
        if let Some(alias) = &mut record.alias {
            alias.name = canonical(&alias.name);
            alias.zone_id = alias.zone_id.trim_start_matches("/hostedzone/").to_owned();
        }
        record.failover = record.failover.map(|it| it.to_ascii_uppercase());
        record
    }

    /// Whether both say the same; the order of values means nothing.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let sorted = |record: &Self| {
            let mut record = record.normal();
            record.values.sort();
            record
        };
        sorted(self) == sorted(other)
    }

    /// `A shop.example.com (eu)`.
    pub(crate) fn title(&self) -> String {
        let name = canonical(&self.name);
        let set = self.set_identifier.as_ref().map_or_else(String::new, |set| format!(" ({set})"));
        format!("{} {}{set}", self.r#type.to_ascii_uppercase(), name.trim_end_matches('.'))
    }

    /// `10.0.0.1, TTL 60, weight 100`.
    pub(crate) fn says(&self) -> String {
        let mut parts = Vec::new();
        match &self.alias {
            Some(alias) => parts.push(format!("alias of {}", alias.name.trim_end_matches('.'))),
            None => parts.push(self.values.join(" ")),
        }
        parts.extend(self.ttl.map(|ttl| format!("TTL {ttl}")));
        parts.extend(self.weight.map(|weight| format!("weight {weight}")));
        parts.extend(self.failover.as_ref().map(|it| it.to_ascii_lowercase()));
        parts.extend(self.region.as_ref().map(|it| format!("latency of {it}")));
        parts.extend(self.multivalue.filter(|it| *it).map(|_| "one of several".to_owned()));
        parts.extend(self.health_check.as_ref().map(|it| format!("health check {it}")));
        parts.join(", ")
    }
}

/// Lower case, one dot at the end, `\052` as `*`.
pub(crate) fn canonical(name: &str) -> String {
    let name = name.replace("\\052", "*").to_ascii_lowercase();
    format!("{}.", name.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &str) -> Record {
        Record {
            name: "Shop.example.com".into(),
            r#type: "a".into(),
            values: vec![value.into()],
            ..Record::default()
        }
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        let read = Record { ttl: Some(60), ..record("10.0.0.1").normal() };
        assert!(record("10.0.0.1").says_the_same(&read));
        assert_eq!(record("10.0.0.1").identity(), read.identity());
        assert!(!record("10.0.0.2").says_the_same(&read));
        assert!(!Record { weight: Some(0), ..record("10.0.0.1") }.says_the_same(&read));
        assert_eq!(canonical("\\052.Example.com"), "*.example.com.");
        assert_eq!(read.title(), "A shop.example.com");
        assert_eq!(read.says(), "10.0.0.1, TTL 60");
    }
}
