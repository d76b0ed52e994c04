use aws_sdk_route53::types::{
    AliasTarget, CidrRoutingConfig, Coordinates, GeoLocation, GeoProximityLocation, ResourceRecord,
    ResourceRecordSet, ResourceRecordSetFailover, ResourceRecordSetRegion, RrType,
};
use dr_plugin::CallError;

use crate::record::{Alias, Cidr, Geolocation, Geoproximity, Record, canonical};

/// A record set as it was read.
pub(crate) fn read(set: &ResourceRecordSet) -> Record {
    let text = |text: Option<&str>| text.map(str::to_owned);
    Record {
        name: canonical(set.name()),
        r#type: set.r#type().as_str().to_owned(),
        ttl: set.ttl(),
        values: set.resource_records().iter().map(|it| it.value().to_owned()).collect(),
        alias: set.alias_target().map(|alias| Alias {
            zone_id: alias.hosted_zone_id().to_owned(),
            name: canonical(alias.dns_name()),
            evaluate_target_health: alias.evaluate_target_health(),
        }),
        set_identifier: text(set.set_identifier()),
        weight: set.weight(),
        failover: set.failover().map(|it| it.as_str().to_owned()),
        region: set.region().map(|it| it.as_str().to_owned()),
        multivalue: set.multi_value_answer(),
        health_check: text(set.health_check_id()),
        geolocation: set.geo_location().map(|place| Geolocation {
            continent: text(place.continent_code()),
            country: text(place.country_code()),
            subdivision: text(place.subdivision_code()),
        }),
        geoproximity: set.geo_proximity_location().map(|place| Geoproximity {
            region: text(place.aws_region()),
            local_zone_group: text(place.local_zone_group()),
            coordinates: place
                .coordinates()
                .map(|it| [it.latitude().to_owned(), it.longitude().to_owned()]),
            bias: place.bias(),
        }),
        cidr: set.cidr_routing_config().map(|cidr| Cidr {
            collection: cidr.collection_id().to_owned(),
            location: cidr.location_name().to_owned(),
        }),
        traffic_policy_instance: text(set.traffic_policy_instance_id()),
    }
}

/// A record set as it is sent.
///
/// # Errors
/// A permanent `bad_input`.
pub(crate) fn write(record: &Record) -> Result<ResourceRecordSet, CallError> {
    let record = record.normal();
    let bad = |error: aws_sdk_route53::error::BuildError| {
        CallError::permanent("bad_input", format!("{}: {error}", record.title()))
    };
    let values = record.values.iter().map(|value| ResourceRecord::builder().value(value).build());
    let values: Vec<_> = values.collect::<Result<_, _>>().map_err(bad)?;
    let alias = record.alias.as_ref().map(|alias| {
        AliasTarget::builder()
            .hosted_zone_id(&alias.zone_id)
            .dns_name(&alias.name)
            .evaluate_target_health(alias.evaluate_target_health)
            .build()
    });
    let geolocation = record.geolocation.as_ref().map(|place| {
        GeoLocation::builder()
            .set_continent_code(place.continent.clone())
            .set_country_code(place.country.clone())
            .set_subdivision_code(place.subdivision.clone())
            .build()
    });
    let geoproximity = match &record.geoproximity {
        None => None,
        Some(place) => {
            let coordinates = place.coordinates.as_ref().map(|[latitude, longitude]| {
                Coordinates::builder().latitude(latitude).longitude(longitude).build()
            });
            Some(
                GeoProximityLocation::builder()
                    .set_aws_region(place.region.clone())
                    .set_local_zone_group(place.local_zone_group.clone())
                    .set_coordinates(coordinates.transpose().map_err(bad)?)
                    .set_bias(place.bias)
                    .build(),
            )
        }
    };
    let cidr = record.cidr.as_ref().map(|cidr| {
        CidrRoutingConfig::builder()
            .collection_id(&cidr.collection)
            .location_name(&cidr.location)
            .build()
    });
    ResourceRecordSet::builder()
        .name(&record.name)
        .r#type(RrType::from(record.r#type.as_str()))
        .set_ttl(record.ttl)
        .set_resource_records(Some(values).filter(|values| !values.is_empty()))
        .set_alias_target(alias.transpose().map_err(bad)?)
        .set_set_identifier(record.set_identifier.clone())
        .set_weight(record.weight)
        .set_failover(record.failover.as_deref().map(ResourceRecordSetFailover::from))
        .set_region(record.region.as_deref().map(ResourceRecordSetRegion::from))
        .set_multi_value_answer(record.multivalue)
        .set_health_check_id(record.health_check.clone())
        .set_geo_location(geolocation)
        .set_geo_proximity_location(geoproximity)
        .set_cidr_routing_config(cidr.transpose().map_err(bad)?)
        .set_traffic_policy_instance_id(record.traffic_policy_instance.clone())
        .build()
        .map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_read_is_written_back() {
        let record = Record {
            name: "*.example.com.".into(),
            r#type: "A".into(),
            ttl: Some(30),
            values: vec!["10.0.0.1".into(), "10.0.0.2".into()],
            alias: Some(Alias {
                zone_id: "Z1".into(),
                name: "lb.example.com.".into(),
                evaluate_target_health: true,
            }),
            set_identifier: Some("eu".into()),
            weight: Some(10),
            failover: Some("PRIMARY".into()),
            region: Some("eu-west-1".into()),
            multivalue: Some(true),
            health_check: Some("h".into()),
            geolocation: Some(Geolocation {
                country: Some("US".into()),
                subdivision: Some("NY".into()),
                continent: None,
            }),
            geoproximity: Some(Geoproximity {
                coordinates: Some(["1.00".into(), "2.00".into()]),
                bias: Some(-3),
                ..Geoproximity::default()
            }),
            cidr: Some(Cidr { collection: "c".into(), location: "l".into() }),
            traffic_policy_instance: Some("t".into()),
        };
        assert_eq!(read(&write(&record).unwrap()), record);
    }
}
