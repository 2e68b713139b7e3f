//! The API's rate limits, counted in front of the components: see `headwater_api::limits`.

use bytes::Bytes;
use headwater_api::limits::{Limiter, Limits};
use headwater_catalog::RandomIds;
use headwater_host::{Admission, Gate};
use http::{Method, Response};
use jiff::Timestamp;
use std::sync::Arc;

pub(crate) struct RateLimit(Arc<Limiter>);

impl RateLimit {
    /// `None`: nothing is limited, and no request need be looked at.
    pub(crate) fn gate(limits: Limits) -> Option<Arc<dyn Gate>> {
        let limiter = Limiter::new(limits);
        (!limiter.is_off()).then(|| Arc::new(Self(Arc::new(limiter))) as Arc<dyn Gate>)
    }
}

impl Gate for RateLimit {
    fn admit(&self, method: &Method, path: &str) -> Result<Admission, Box<Response<Bytes>>> {
        match self.0.admit(method, path, Timestamp::now(), &RandomIds) {
            Ok(admitted) => {
                let limiter = Arc::clone(&self.0);
                Ok(Box::new(move |status| {
                    limiter.count(admitted, status, Timestamp::now());
                }))
            }
            Err(answer) => Err(Box::new(answer.response)),
        }
    }
}
