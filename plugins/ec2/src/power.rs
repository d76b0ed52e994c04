use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    Instance as Found, InstanceStateName, InstanceStatusSummary, SummaryStatus,
};
use dr_aws::{Look, Worker};
use dr_plugin::{CallError, Change};

use crate::instance::{find, ids, is_gone, list, result, state};
use crate::output::InstancesResult;
use crate::selector::{Selectable as _, Selector, title};

/// What instances are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    /// Run; with `true` until the status checks pass.
    Start(bool),
    /// Stop; with `true` by force.
    Stop(bool),
    /// Start the operating system again.
    Reboot,
    /// Go for good.
    Terminate,
}

impl Power {
    /// The state that is promised.
    fn target(self) -> InstanceStateName {
        match self {
            Self::Start(_) | Self::Reboot => InstanceStateName::Running,
            Self::Stop(_) => InstanceStateName::Stopped,
            Self::Terminate => InstanceStateName::Terminated,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Start(_) => "starting",
            Self::Stop(_) => "stopping",
            Self::Reboot => "rebooting",
            Self::Terminate => "terminating",
        }
    }

    fn after(self) -> &'static str {
        match self {
            Self::Reboot => "rebooted",
            Self::Start(_) => "running",
            Self::Stop(_) => "stopped",
            Self::Terminate => "terminated",
        }
    }

    /// Whether this must be asked of an instance.
    fn concerns(self, found: &Found) -> bool {
        self == Self::Reboot || state(found) != self.target()
    }

    /// What it would change.
    pub(crate) fn changes(self, found: &[Found]) -> Vec<Change> {
        let concerned = found.iter().filter(|found| self.concerns(found));
        concerned
            .map(|found| Change {
                what: title(found),
                before: Some(state(found).as_str().to_owned()),
                after: Some(self.after().to_owned()),
            })
            .collect()
    }

    /// Whether the credentials may do it.
    pub(crate) async fn rehearse(
        self,
        worker: &mut Worker<'_, Client>,
        found: &[Found],
    ) -> Result<(), CallError> {
        let ids = ids(found);
        let sent = worker
            .read_unless("asking for permission", &["DryRunOperation"], |client| {
                send(client, self, ids.clone(), true)
            })
            .await;
        sent.map(|_| ())
    }

    /// Does it, and waits for the promised state.
    pub(crate) async fn perform(
        self,
        worker: &mut Worker<'_, Client>,
        selector: &Selector,
    ) -> Result<InstancesResult, CallError> {
        let mut found = find(worker, selector).await?;
        let all = ids(&found);
        if self != Self::Terminate
            && let Some(gone) = found.iter().find(|it| is_gone(it))
        {
            return Err(CallError::permanent(
                "instance_gone",
                format!("{} is {}", title(gone), state(gone).as_str()),
            ));
        }
        if matches!(self, Self::Start(_)) {
            // One that is on its way down cannot be started before it is there.
            let mut round = 0;
            found = loop {
                let look = none_stopping(worker, &all).await;
                let what = "waiting for instances that stop";
                if let Some(found) = worker.settle(&mut round, what, look).await? {
                    break found;
                }
            };
        }
        let changes = self.changes(&found);
        let concerned: Vec<String> =
            found.iter().filter(|it| self.concerns(it)).map(|it| it.id().to_owned()).collect();
        let what = format!("{} {}", self.word(), concerned.join(", "));
        if !concerned.is_empty() {
            let request = |client| send(client, self, concerned.clone(), false);
            if self == Self::Reboot {
                worker.change_blindly(&what, request).await?;
            } else {
                worker.change(&what, request).await?;
            }
        }
        let found = self.reach(worker, &all, &what).await?;
        if self == Self::Start(true) {
            status_ok(worker, &all).await?;
        }
        Ok(result(&found, changes))
    }

    async fn reach(
        self,
        worker: &mut Worker<'_, Client>,
        ids: &[String],
        what: &str,
    ) -> Result<Vec<Found>, CallError> {
        let mut round = 0;
        loop {
            let look = self.look(worker, ids).await;
            if let Some(found) = worker.settle(&mut round, what, look).await? {
                return Ok(found);
            }
        }
    }

    async fn look(
        self,
        worker: &mut Worker<'_, Client>,
        ids: &[String],
    ) -> Result<Look<Vec<Found>>, CallError> {
        let found = list(worker, ids, Vec::new()).await?;
        let promised = self.target();
        if promised != InstanceStateName::Terminated
            && let Some(gone) = found.iter().find(|it| is_gone(it))
        {
            return Err(ended(gone));
        }
        let there = found.iter().filter(|it| state(it) == promised).count();
        Ok(if there == found.len() {
            Look::There(found)
        } else {
            Look::NotYet(format!("{there} of {} {}", found.len(), promised.as_str()))
        })
    }
}

async fn none_stopping(
    worker: &mut Worker<'_, Client>,
    ids: &[String],
) -> Result<Look<Vec<Found>>, CallError> {
    let found = list(worker, ids, Vec::new()).await?;
    let stopping = found.iter().filter(|it| state(it) == InstanceStateName::Stopping).count();
    Ok(match stopping {
        0 => Look::There(found),
        count => Look::NotYet(format!("{count} still stopping")),
    })
}

/// Waits until instances run.
pub(crate) async fn running(
    worker: &mut Worker<'_, Client>,
    ids: &[String],
) -> Result<Vec<Found>, CallError> {
    Power::Start(false).reach(worker, ids, "waiting for the instances to run").await
}

fn ended(found: &Found) -> CallError {
    let reason = found.state_reason().and_then(|it| it.message()).unwrap_or("no reason is given");
    let message = format!("{} ended: {reason}", title(found));
    CallError::permanent("instance_failed", message)
}

async fn status_ok(worker: &mut Worker<'_, Client>, ids: &[String]) -> Result<(), CallError> {
    let mut round = 0;
    loop {
        let look = checks(worker, ids).await;
        if worker.settle(&mut round, "waiting for status checks", look).await?.is_some() {
            return Ok(());
        }
    }
}

async fn checks(worker: &mut Worker<'_, Client>, ids: &[String]) -> Result<Look<()>, CallError> {
    let answer = worker
        .read("reading status checks", |client| {
            client.describe_instance_status().set_instance_ids(Some(ids.to_vec())).send()
        })
        .await?;
    let is_ok = |status: Option<&InstanceStatusSummary>| {
        status.and_then(|it| it.status()) == Some(&SummaryStatus::Ok)
    };
    let all = answer.instance_statuses().iter();
    let ok = all.filter(|it| is_ok(it.instance_status()) && is_ok(it.system_status())).count();
    Ok(if ok >= ids.len() {
        Look::There(())
    } else {
        Look::NotYet(format!("{ok} of {} pass", ids.len()))
    })
}

/// The four requests have four types of answers and errors; only whether they were taken counts.
async fn send(
    client: Client,
    power: Power,
    ids: Vec<String>,
    dry_run: bool,
) -> Result<(), aws_sdk_ec2::error::SdkError<aws_sdk_ec2::Error>> {
    let ids = Some(ids);
    macro_rules! sent {
        ($request:expr) => {
            $request
                .set_instance_ids(ids)
                .set_dry_run(dry_run.then_some(true))
                .send()
                .await
                .map(|_| ())
                .map_err(|error| error.map_service_error(aws_sdk_ec2::Error::from))
        };
    }
    match power {
        Power::Start(_) => sent!(client.start_instances()),
        Power::Stop(force) => sent!(client.stop_instances().force(force)),
        Power::Reboot => sent!(client.reboot_instances()),
        Power::Terminate => sent!(client.terminate_instances()),
    }
}
