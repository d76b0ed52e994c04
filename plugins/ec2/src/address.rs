use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::Address as Found;
use dr_aws::{Look, Worker};
use dr_plugin::{Call, CallError, Change};

use crate::input::AddressInput;
use crate::instance;
use crate::output::AddressResult;
use crate::selector::{Selectable as _, no_match, quoted};

const ABSENT: &[&str] = &[
    "InvalidAddress.NotFound",
    "InvalidAllocationID.NotFound",
    "InvalidAddressID.NotFound",
    "InvalidParameterValue",
];

async fn find(worker: &mut Worker<'_, Client>, address: &str) -> Result<Found, CallError> {
    let page = worker
        .read_unless("looking for the address", ABSENT, |client| {
            let request = client.describe_addresses();
            if address.starts_with("eipalloc-") {
                request.allocation_ids(address).send()
            } else {
                request.public_ips(address).send()
            }
        })
        .await?;
    let found = page.and_then(|page| page.addresses().first().cloned());
    found.ok_or_else(|| no_match("address", &quoted(address)))
}

/// What is wanted and what is there.
struct Association {
    found: Found,
    instance: String,
    reassociate: bool,
}

impl Association {
    async fn look(worker: &mut Worker<'_, Client>, call: &Call) -> Result<Self, CallError> {
        let input: AddressInput = call.input()?;
        let found = find(worker, &input.address).await?;
        let instance = instance::find_one(worker, &input.instance).await?.id().to_owned();
        let other = found.instance_id().filter(|it| !it.is_empty() && *it != instance);
        if let (Some(other), false) = (other, input.reassociate) {
            return Err(CallError::permanent(
                "address_in_use",
                format!("{} belongs to instance {other}", found.public_ip().unwrap_or("it")),
            )
            .with_help("say `reassociate: true` to take it away from there"));
        }
        Ok(Self { found, instance, reassociate: input.reassociate })
    }

    fn is_there(&self) -> bool {
        self.found.instance_id() == Some(&self.instance)
    }

    fn before(&self) -> Option<&str> {
        self.found.instance_id().filter(|it| !it.is_empty())
    }

    fn change(&self) -> Change {
        Change {
            what: format!("address {}", self.found.public_ip().unwrap_or_default()),
            before: Some(self.before().map_or("free".to_owned(), |it| format!("instance {it}"))),
            after: Some(format!("instance {}", self.instance)),
        }
    }

    fn request(
        &self,
        client: &Client,
    ) -> aws_sdk_ec2::operation::associate_address::builders::AssociateAddressFluentBuilder {
        let request = client
            .associate_address()
            .instance_id(&self.instance)
            .allow_reassociation(self.reassociate);
        match self.found.allocation_id() {
            Some(allocation) => request.allocation_id(allocation),
            None => request.set_public_ip(self.found.public_ip().map(str::to_owned)),
        }
    }
}

/// `ec2.associate_address`.
pub(crate) async fn associate(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<AddressResult, CallError> {
    let wanted = Association::look(worker, call).await?;
    let ip = wanted.found.public_ip().unwrap_or_default().to_owned();
    let what = format!("associating {ip} with {}", wanted.instance);
    let changes = if wanted.is_there() {
        Vec::new()
    } else {
        worker.change(&what, |client| wanted.request(&client).send()).await?;
        vec![wanted.change()]
    };
    let mut round = 0;
    loop {
        let look = find(worker, &ip).await.map(|found| {
            if found.instance_id() == Some(&wanted.instance) {
                Look::There(())
            } else {
                Look::NotYet("not there yet".to_owned())
            }
        });
        if worker.settle(&mut round, &what, look).await?.is_some() {
            break;
        }
    }
    Ok(AddressResult {
        public_ip: ip,
        allocation: wanted.found.allocation_id().map(str::to_owned),
        previous_instance: wanted.before().map(str::to_owned),
        instance: wanted.instance,
        changes,
    })
}

/// Whether it is there.
pub(crate) async fn associated(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<bool, CallError> {
    Ok(Association::look(worker, call).await?.is_there())
}

/// What it would do, and whether the credentials may. None: it is so already.
pub(crate) async fn rehearse(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<Option<Vec<String>>, CallError> {
    let wanted = Association::look(worker, call).await?;
    if wanted.is_there() {
        return Ok(None);
    }
    worker
        .read_unless("asking for permission", &["DryRunOperation"], |client| {
            wanted.request(&client).dry_run(true).send()
        })
        .await?;
    Ok(Some(vec![wanted.change().to_string()]))
}
