use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::selector::Selector;

/// `with` of `ec2.describe_instances`, `ec2.reboot_instances` and `ec2.terminate_instances`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstancesInput {
    /// Which instances.
    pub(crate) instances: Selector,
}

/// `with` of `ec2.start_instances`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartInput {
    /// Which instances.
    pub(crate) instances: Selector,
    /// Wait until AWS's status checks pass too, not only until they run. Default false.
    #[serde(default)]
    pub(crate) status_ok: bool,
}

/// `with` of `ec2.stop_instances`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopInput {
    /// Which instances.
    pub(crate) instances: Selector,
    /// Without giving the operating system time. Default false.
    #[serde(default)]
    pub(crate) force: bool,
}

/// `with` of `ec2.run_instances`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunInput {
    /// The image to run; not needed where the launch template has one.
    #[serde(default)]
    pub(crate) image: Option<String>,
    /// The instance type; not needed where the launch template has one.
    #[serde(default)]
    pub(crate) r#type: Option<String>,
    /// A launch template: its id (`lt-…`) or name.
    #[serde(default)]
    pub(crate) launch_template: Option<String>,
    /// How many. Default 1.
    #[serde(default)]
    pub(crate) count: Option<u16>,
    /// The subnet.
    #[serde(default)]
    pub(crate) subnet: Option<String>,
    /// Ids of security groups.
    #[serde(default)]
    pub(crate) security_groups: Vec<String>,
    /// Name of the key pair.
    #[serde(default)]
    pub(crate) key_name: Option<String>,
    /// Name of the instance profile.
    #[serde(default)]
    pub(crate) instance_profile: Option<String>,
    /// Availability zone.
    #[serde(default)]
    pub(crate) availability_zone: Option<String>,
    /// The private address, of a single instance.
    #[serde(default)]
    pub(crate) private_ip: Option<String>,
    /// What the instance runs when it starts, base64.
    #[serde(default)]
    pub(crate) user_data: Option<String>,
    /// The tag `Name`.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Other tags.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// `with` of `ec2.create_snapshot`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotInput {
    /// Of which volume.
    pub(crate) volume: Selector,
    /// A description.
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// The tag `Name`.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Other tags.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// `with` of `ec2.create_image`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageInput {
    /// Of which instance.
    pub(crate) instance: Selector,
    /// Name of the image, new in this region.
    pub(crate) name: String,
    /// A description.
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// Do not shut the instance down for it; its file systems may then be inconsistent. Default
    /// false.
    #[serde(default)]
    pub(crate) no_reboot: bool,
    /// Tags.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// `with` of `ec2.create_volume_from_snapshot`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolumeInput {
    /// From which snapshot.
    pub(crate) snapshot: Selector,
    /// In which availability zone: that of the instance it is for.
    pub(crate) availability_zone: String,
    /// `gp3`, `io2`, …; default AWS's.
    #[serde(default)]
    pub(crate) r#type: Option<String>,
    /// GiB, at least those of the snapshot.
    #[serde(default)]
    pub(crate) size: Option<i32>,
    /// Operations a second.
    #[serde(default)]
    pub(crate) iops: Option<i32>,
    /// MiB a second.
    #[serde(default)]
    pub(crate) throughput: Option<i32>,
    /// Encrypt it.
    #[serde(default)]
    pub(crate) encrypted: Option<bool>,
    /// The key to encrypt it with.
    #[serde(default)]
    pub(crate) kms_key: Option<String>,
    /// The tag `Name`.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Other tags.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// `with` of `ec2.attach_volume`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttachInput {
    /// Which volume.
    pub(crate) volume: Selector,
    /// To which instance.
    pub(crate) instance: Selector,
    /// As which device: `/dev/sdf`.
    pub(crate) device: String,
}

/// `with` of `ec2.associate_address`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddressInput {
    /// The elastic address: the address itself, or its allocation id (`eipalloc-…`).
    pub(crate) address: String,
    /// To which instance.
    pub(crate) instance: Selector,
    /// Take it away from another instance that has it. Default false.
    #[serde(default)]
    pub(crate) reassociate: bool,
}
