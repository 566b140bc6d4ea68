//! An object of any kind that Weir reads.

use serde_json::Value;

use crate::{Kind, ObjectMeta, core, gateway_api, kgateway, weir};

macro_rules! objects {
    ($($kind:ident => $ty:ty),* $(,)?) => {
        /// An object of any kind that Weir reads.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "each is the Kubernetes kind of that name")]
        pub enum Object {
            $($kind(Box<$ty>),)*
        }

        impl Object {
            /// Reads the object of that kind.
            ///
            /// # Errors
            /// When the value is not of that kind's form. `Kind::schema` says more about it.
            pub fn read(kind: Kind, value: Value) -> Result<Self, serde_json::Error> {
                Ok(match kind {
                    $(Kind::$kind => Self::$kind(serde_json::from_value(value)?),)*
                })
            }

            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)*
                }
            }

            /// Its metadata.
            pub fn metadata(&self) -> &ObjectMeta {
                match self {
                    $(Self::$kind(it) => &it.metadata,)*
                }
            }

            /// Its metadata, to fill in defaults.
            pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
                match self {
                    $(Self::$kind(it) => &mut it.metadata,)*
                }
            }
        }
    };
}

objects! {
    GatewayClass => gateway_api::GatewayClass,
    Gateway => gateway_api::Gateway,
    HTTPRoute => gateway_api::HttpRoute,
    ReferenceGrant => gateway_api::ReferenceGrant,
    Namespace => core::Namespace,
    Service => core::Service,
    Secret => core::Secret,
    EndpointSlice => core::EndpointSlice,
    Backend => kgateway::Backend,
    TrafficPolicy => kgateway::TrafficPolicy,
    DirectResponse => kgateway::DirectResponse,
    HTTPListenerPolicy => kgateway::HttpListenerPolicy,
    Plugin => weir::Plugin,
    PluginPolicy => weir::PluginPolicy,
}
