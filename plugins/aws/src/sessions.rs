use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use crate::Settings;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The variables that AWS's chain of credentials and regions reads.
pub const ENVIRONMENT: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_REGION",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_EC2",
    "AWS_ENDPOINT_URL_ROUTE_53",
    "AWS_ENDPOINT_URL_STS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PATH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

/// The configurations in use, with their credentials, by settings.
#[derive(Debug, Default)]
pub struct Sessions {
    known: Mutex<BTreeMap<Settings, SdkConfig>>,
}

impl Sessions {
    /// The configuration for these settings.
    pub async fn get(&self, settings: &Settings) -> SdkConfig {
        let known =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).get(settings).cloned();
        if let Some(known) = known {
            return known;
        }
        let config = Box::pin(load(settings)).await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(settings.clone(), config.clone());
        config
    }

    /// Forgets the credentials for these settings: the next [`Sessions::get`] reads new ones.
    pub fn forget(&self, settings: &Settings) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(settings);
    }

    /// How long the credentials for these settings are still good, where they say so.
    #[expect(clippy::disallowed_methods, reason = "credentials end at a time of the day")]
    pub async fn credentials_left(&self, settings: &Settings) -> Option<Duration> {
        let config = Box::pin(self.get(settings)).await;
        let credentials = config.credentials_provider()?.provide_credentials().await.ok()?;
        Some(credentials.expiry()?.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

async fn load(settings: &Settings) -> SdkConfig {
    let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let request = settings.request_limit();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT.min(request))
        .operation_attempt_timeout(request)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(client.clone())
        // A request is repeated only where its fate is known: by `Worker`.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    let mut config = loader.load().await;
    if let Some(profile) = &settings.profile {
        // The chain would take keys from the environment first, though a profile was asked for.
        let found = ProviderConfig::without_region()
            .with_region(config.region().cloned())
            .with_http_client(client);
        let provider =
            ProfileFileCredentialsProvider::builder().configure(&found).profile_name(profile);
        let provider = SharedCredentialsProvider::new(provider.build());
        config = config.into_builder().credentials_provider(provider).build();
    }
    if let Some(role) = &settings.role {
        let mut provider = AssumeRoleProvider::builder(role).session_name("dr").configure(&config);
        if let Some(id) = &settings.external_id {
            provider = provider.external_id(id);
        }
        let provider = SharedCredentialsProvider::new(provider.build().await);
        config = config.into_builder().credentials_provider(provider).build();
    }
    if let Some(endpoint) = &settings.endpoint {
        config = config.into_builder().endpoint_url(endpoint).build();
    }
    config
}
