//! The runbooks that are shipped, and what a run of each has to be given.

/// A runbook, an environment it has, and what a run there is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shipped {
    /// File in `runbooks/`.
    pub file: &'static str,
    /// Environments, the default one first; empty if it names none.
    pub environments: &'static [&'static str],
    /// Inputs without a default: `NAME=VALUE`.
    pub inputs: &'static [&'static str],
    /// What a rehearsal is told of systems that nobody can make up: `STEP.OUTPUT=VALUE`.
    pub told: &'static [&'static str],
}

const BOTH: &[&str] = &["production", "drill"];
const SNAPSHOTS: &str = r#"snapshots.result={exit_code: 0, stdout: '{"DBSnapshots": [{"Status": "available", "DBInstanceIdentifier": "publishing-api-db", "DBSnapshotIdentifier": "nightly", "SnapshotCreateTime": "2030-01-01T01:00:00Z"}]}'}"#;
const BACKUPS: &str = r#"restore/backups.result={exit_code: 0, stdout: '{"items": [{"metadata": {"name": "nightly"}, "status": {"phase": "Completed", "startTimestamp": "2030-01-01T01:00:00Z"}}]}'}"#;
const CERTIFICATE: &str = r#"certificate.result={exit_code: 0, stdout: "DNS:gitlab.example.com, DNS:gitlab-2.example.com"}"#;
/// What a rehearsal of `cluster-recovery.yaml` is told in its scenario `state_file`.
pub const VERSIONS: &str = r#"state_versions.result={exit_code: 0, stdout: '{"Versions": [{"Key": "live/terraform.tfstate", "LastModified": "2030-01-01T01:00:00Z", "VersionId": "v1"}]}'}"#;

const fn shipped(file: &'static str) -> Shipped {
    Shipped { file, environments: BOTH, inputs: &[], told: &[] }
}

/// All of them.
pub const SHIPPED: &[Shipped] = &[
    Shipped { inputs: &["scenario=cluster"], told: &[BACKUPS], ..shipped("cluster-recovery.yaml") },
    Shipped { told: &["taken_at.at=2030-01-01T01:30:00Z"], ..shipped("etcd-quorum-restore.yaml") },
    Shipped {
        inputs: &["operator_ip=192.0.2.7"],
        told: &[CERTIFICATE],
        ..shipped("geo-planned-failover.yaml")
    },
    shipped("mastodon-move.yaml"),
    Shipped {
        told: &["replicas.result={exit_code: 0, stdout: db2}"],
        ..shipped("mysql-takeover.yaml")
    },
    Shipped {
        inputs: &["context=live", "schedule=velero-allnamespacebackup"],
        told: &[
            r#"backups.result={exit_code: 0, stdout: '{"items": [{"metadata": {"name": "nightly"}, "status": {"phase": "Completed", "startTimestamp": "2030-01-01T01:00:00Z"}}]}'}"#,
        ],
        ..shipped("parts/velero-restore.yaml")
    },
    shipped("patroni-dc-failover.yaml"),
    shipped("postgres-failover.yaml"),
    Shipped { environments: &[], ..shipped("quickstart.yaml") },
    Shipped {
        environments: &["production", "staging", "integration"],
        inputs: &["app=publishing-api"],
        told: &[SNAPSHOTS],
        ..shipped("rds-restore.yaml")
    },
    shipped("shop-region-failover.yaml"),
    Shipped {
        inputs: &["backup=nightly-20261119010000"],
        ..shipped("velero-read-only-restore.yaml")
    },
];
