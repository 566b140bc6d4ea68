//! Policies: what they are attached to, which of them wins where, and their statuses.

mod access_log;
mod direct_response;
mod plugin;
mod report;
mod site;
mod target;
mod transformation;

use weir_crds::Kind;
use weir_crds::kgateway::DirectResponse;

use crate::chain::{Link, Overridden};
use crate::input::Input;
use crate::plugin::{Plugins, UsablePlugin};
use crate::route::Extension;
use crate::status::ObjectStatus;

pub(crate) use site::Site;
pub(crate) use transformation::{MERGE_ANNOTATIONS, MERGE_STRATEGIES};

/// Every policy, with what was found out about it.
pub(crate) struct Policies<'a> {
    transformations: Vec<transformation::State<'a>>,
    access_logs: Vec<access_log::State<'a>>,
    plugin_policies: Vec<plugin::State<'a>>,
    plugins: &'a Plugins<'a>,
    input: &'a Input,
}

/// What policies make of one place.
#[derive(Default)]
pub(crate) struct Governed {
    pub(crate) links: Vec<Link>,
    pub(crate) overridden: Vec<Overridden>,
    /// The plugins of users that the links need.
    pub(crate) plugins: Vec<UsablePlugin>,
    /// Why the place must answer 500.
    pub(crate) fault: Option<String>,
}

impl<'a> Policies<'a> {
    /// Resolves the targets of all policies and prepares their filters.
    pub(crate) fn resolve(input: &'a Input, plugins: &'a Plugins<'a>) -> Self {
        Self {
            transformations: input
                .traffic_policies
                .iter()
                .map(|it| transformation::State::new(input, it))
                .collect(),
            access_logs: input
                .http_listener_policies
                .iter()
                .map(|it| access_log::State::new(input, it))
                .collect(),
            plugin_policies: input
                .plugin_policies
                .iter()
                .map(|it| plugin::State::new(input, plugins, it))
                .collect(),
            plugins,
            input,
        }
    }

    /// The filters that run on every exchange of a listener.
    pub(crate) fn listener(&mut self, site: &Site<'_>) -> Governed {
        let mut governed = Governed::default();
        access_log::govern(&mut self.access_logs, site, &mut governed);
        plugin::govern(&mut self.plugin_policies, site, &mut governed);
        governed
    }

    /// The filters of a rule on a listener.
    pub(crate) fn rule(&mut self, site: &Site<'_>) -> Governed {
        let mut governed = Governed::default();
        transformation::govern(&mut self.transformations, site, &mut governed);
        plugin::govern(&mut self.plugin_policies, site, &mut governed);
        let responses = site.extensions().iter().filter_map(|it| match it {
            Extension::DirectResponse(response) => Some(direct_response::link(response)),
            _ => None,
        });
        governed.links.extend(responses);
        governed
    }

    /// The statuses of all policies and of what they name.
    pub(crate) fn into_statuses(self) -> Vec<ObjectStatus> {
        let mut statuses: Vec<_> = self
            .input
            .direct_responses
            .iter()
            .map(direct_response_status)
            .collect();
        statuses.extend(self.access_logs.into_iter().map(|it| it.report.into_status()));
        statuses.extend(self.transformations.into_iter().map(|it| it.report.into_status()));
        let plugins = self.input.plugins.iter();
        statuses.extend(plugins.filter_map(|it| self.plugins.status(it)));
        statuses.extend(self.plugin_policies.into_iter().map(|it| it.report.into_status()));
        statuses
    }
}

fn direct_response_status(response: &DirectResponse) -> ObjectStatus {
    report::object_status(
        Kind::DirectResponse,
        &response.metadata,
        &direct_response::defects(response),
    )
}
