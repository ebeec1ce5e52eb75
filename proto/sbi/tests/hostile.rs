//! No content makes a decoder panic.

use proptest::prelude::*;
use tern_sbi::{
    Body, Headers, Operation, PathParams, Request, nnssf_nsselection, nsmf_pdusession, nudm_uecm,
};

use crate::samples;

fn request(body: Vec<u8>, path: &str) -> Request {
    Request {
        method: tern_sbi::Method::Post,
        path: path.to_owned(),
        query: vec![("nf-type".into(), path.into()), ("tai".into(), path.into())],
        headers: Headers::default(),
        body: Body::Json(body.into()),
    }
}

proptest! {
    #[test]
    fn any_octets_are_read_or_refused(body: Vec<u8>, text in ".{0,40}") {
        let params = PathParams(vec![text.clone(), text.clone()]);
        let request = request(body, &text);
        let refused = nsmf_pdusession::PostSmContexts::from_request(&params, &request);
        prop_assert!(refused.is_err());
        prop_assert!(nudm_uecm::RegisterSmf::from_request(&params, &request).is_err());
        prop_assert!(nnssf_nsselection::GetSliceSelectionInfo::from_request(&params, &request).is_err());
    }

    /// A sample with one octet changed and its end cut.
    #[test]
    fn damaged_samples_are_read_or_refused(
        pick: prop::sample::Index, at: prop::sample::Index, octet: u8, cut: prop::sample::Index,
    ) {
        let all = samples::all();
        let sample = &all[pick.index(all.len())];
        let mut json = sample.body.to_string().into_bytes();
        let at = at.index(json.len());
        json[at] = octet;
        json.truncate(json.len() - cut.index(json.len()) / 8);
        // Whatever it says, it answers.
        let _ = (sample.decode)(&json);
    }
}
