//! Nudm_UEContextManagement: TS 29.503 §5.3, §6.2.

mod models;
mod operations;

pub use models::{
    Amf3GppAccessRegistration, Amf3GppAccessRegistrationModification, DeregistrationData,
    DeregistrationReason, ImsVoPs, RegistrationReason, SmfRegistration, SmfRegistrationInfo,
};
pub use operations::{
    DeregisterSmf, DeregistrationNotify, GetAmf3gpp, GetSmfRegistration, ListSmfRegistrations,
    RegisterAmf3gpp, RegisterSmf, UpdateAmf3gpp,
};
