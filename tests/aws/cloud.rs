//! A small cloud: an emulator, the proxy before it, and what is in it at the beginning.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dr_testkit::{Dr, Emulator, FaultProxy, Folder, address, elements};

/// The cloud.
pub(crate) struct Cloud {
    pub(crate) emulator: Arc<Emulator>,
    pub(crate) proxy: FaultProxy,
    _folder: Folder,
}

impl Cloud {
    pub(crate) fn start() -> Self {
        let folder = Folder::new();
        let emulator = Arc::new(Emulator::start(&folder, address(0)));
        let proxy = FaultProxy::start(address(0), Arc::clone(&emulator));
        Self { emulator, proxy, _folder: folder }
    }

    /// A hosted zone with one record; its id, as the API writes it.
    pub(crate) fn zone(&self, name: &str, record: &str, value: &str) -> String {
        let made = self.emulator.route53(
            "POST",
            "hostedzone",
            &format!(
                "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
                 <Name>{name}.</Name><CallerReference>{name}{record}</CallerReference>\
                 </CreateHostedZoneRequest>"
            ),
        );
        let id = elements(&made, "Id")[0].clone();
        self.emulator.route53(
            "POST",
            &format!("{}/rrset/", id.trim_start_matches('/')),
            &format!(
                "<ChangeResourceRecordSetsRequest \
                 xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Changes>\
                 <Change><Action>CREATE</Action><ResourceRecordSet><Name>{record}.</Name>\
                 <Type>A</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>{value}</Value>\
                 </ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes>\
                 </ChangeBatch></ChangeResourceRecordSetsRequest>"
            ),
        );
        id
    }

    /// Values of all `A` records of a zone.
    pub(crate) fn addresses(&self, zone: &str) -> Vec<String> {
        let path = format!("{}/rrset", zone.trim_start_matches('/'));
        let all = self.emulator.route53("GET", &path, "");
        elements(&all, "ResourceRecordSet")
            .iter()
            .filter(|set| elements(set, "Type") == ["A"])
            .flat_map(|set| elements(set, "Value"))
            .collect()
    }

    /// A running instance; its id.
    pub(crate) fn instance(&self, name: &str) -> String {
        let made = self.emulator.ec2(&format!(
            "Action=RunInstances&ImageId=ami-12c6146b&MinCount=1&MaxCount=1&\
             TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=Name&\
             TagSpecification.1.Tag.1.Value={name}"
        ));
        elements(&made, "instanceId")[0].clone()
    }

    /// Stops an instance.
    pub(crate) fn stop(&self, instance: &str) {
        self.emulator.ec2(&format!("Action=StopInstances&InstanceId.1={instance}"));
    }

    /// The state of an instance.
    pub(crate) fn state(&self, instance: &str) -> String {
        let found = self.emulator.ec2(&format!("Action=DescribeInstances&InstanceId.1={instance}"));
        let state = &elements(&found, "instanceState")[0];
        elements(state, "name")[0].clone()
    }

    /// How many things of a kind there are that `dr` has made.
    pub(crate) fn count(&self, action: &str, element: &str) -> usize {
        let query = format!("Action={action}&Filter.1.Name=tag-key&Filter.1.Value.1=dr:key");
        elements(&self.emulator.ec2(&query), element).len()
    }

    /// `dr` that finds this cloud.
    pub(crate) fn environment(&self, dr: Dr) -> Dr {
        dr.env("AWS_ENDPOINT_URL", self.proxy.url())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
    }
}

/// The executable of a plugin.
///
/// # Panics
/// When it was not built.
pub(crate) fn executable(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_dr")).with_file_name(format!("dr-plugin-{name}"));
    assert!(path.exists(), "build it first: cargo build -p dr-plugin-{name}");
    path
}
