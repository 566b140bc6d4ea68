//! GatewayClasses: which Gateways are ours.

use weir_crds::Kind;
use weir_crds::gateway_api::GatewayClass;

use crate::CONTROLLER_NAME;
use crate::input::Input;
use crate::status::{Condition, ObjectStatus, Status};

/// A class of ours.
pub(crate) struct ClassState<'a> {
    class: &'a GatewayClass,
    accepted: Condition,
}

impl ClassState<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.class.metadata.name
    }

    pub(crate) fn is_accepted(&self) -> bool {
        self.accepted.is_true()
    }

    pub(crate) fn into_status(self) -> ObjectStatus {
        let status = Status {
            conditions: vec![self.accepted],
            ..Status::default()
        };
        ObjectStatus::new(Kind::GatewayClass, &self.class.metadata, status)
    }
}

/// The classes that name our controller.
pub(crate) fn evaluate(input: &Input) -> Vec<ClassState<'_>> {
    let ours = input
        .gateway_classes
        .iter()
        .filter(|it| it.spec.controller_name == CONTROLLER_NAME);
    ours.map(|class| ClassState {
        class,
        accepted: accepted(class),
    })
    .collect()
}

fn accepted(class: &GatewayClass) -> Condition {
    let generation = class.metadata.generation();
    match &class.spec.parameters_ref {
        None => Condition::new("Accepted", true, "Accepted", "served by Weir", generation),
        Some(_) => {
            let message = "spec.parametersRef: not supported by this version of Weir; remove it";
            Condition::new("Accepted", false, "InvalidParameters", message, generation)
        }
    }
}
