use std::collections::BTreeMap;

use dr_plugin::Change;
use schemars::JsonSchema;
use serde::Serialize;

/// An instance.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Instance {
    /// Its id.
    pub(crate) id: String,
    /// Its tag `Name`.
    pub(crate) name: Option<String>,
    /// `pending`, `running`, `stopping`, `stopped`, `shutting-down`, `terminated`.
    pub(crate) state: String,
    /// Its type.
    pub(crate) r#type: Option<String>,
    /// The image it was made from.
    pub(crate) image: Option<String>,
    /// Its availability zone.
    pub(crate) availability_zone: Option<String>,
    /// Its private address.
    pub(crate) private_ip: Option<String>,
    /// Its public address.
    pub(crate) public_ip: Option<String>,
    /// All its tags.
    pub(crate) tags: BTreeMap<String, String>,
}

/// `result` of what works on instances.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct InstancesResult {
    /// The instances.
    pub(crate) instances: Vec<Instance>,
    /// The only instance; null if there are several.
    pub(crate) instance: Option<Instance>,
    /// What was changed, for people.
    pub(crate) changes: Vec<Change>,
}

/// `result` of `ec2.create_snapshot`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct SnapshotResult {
    /// Id of the snapshot.
    pub(crate) snapshot: String,
    /// The volume it is of.
    pub(crate) volume: String,
    /// When it was begun: what was on the volume then is in it.
    pub(crate) started_at: Option<String>,
    /// GiB.
    pub(crate) size: Option<i32>,
    /// What was made, for people.
    pub(crate) changes: Vec<Change>,
}

/// `result` of `ec2.create_image`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ImageResult {
    /// Id of the image.
    pub(crate) image: String,
    /// Its name.
    pub(crate) name: String,
    /// Snapshots it is made of.
    pub(crate) snapshots: Vec<String>,
    /// What was made, for people.
    pub(crate) changes: Vec<Change>,
}

/// `result` of `ec2.create_volume_from_snapshot` and `ec2.attach_volume`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct VolumeResult {
    /// Id of the volume.
    pub(crate) volume: String,
    /// `available`, `in-use`, …
    pub(crate) state: String,
    /// Its availability zone.
    pub(crate) availability_zone: Option<String>,
    /// GiB.
    pub(crate) size: Option<i32>,
    /// The instance it is attached to.
    pub(crate) instance: Option<String>,
    /// As which device.
    pub(crate) device: Option<String>,
    /// What was changed, for people.
    pub(crate) changes: Vec<Change>,
}

/// `result` of `ec2.associate_address`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct AddressResult {
    /// The address.
    pub(crate) public_ip: String,
    /// Its allocation id.
    pub(crate) allocation: Option<String>,
    /// The instance that has it.
    pub(crate) instance: String,
    /// The instance that had it, null if none.
    pub(crate) previous_instance: Option<String>,
    /// What was changed, for people.
    pub(crate) changes: Vec<Change>,
}
