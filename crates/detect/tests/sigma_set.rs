//! The whole public Sigma set: every document is compiled, or refused with a right reason.

mod support;

use metsuke_detect::{Document, compile};

use support::shared_data;

/// Documents of the set that cannot be compiled, by the end of their path, with the code of the
/// reason. Everything else has to compile.
const REFUSED: &[(&str, &str)] = &[
    // They need the names of the site's domain controllers.
    ("win_security_adcs_certighost_cdc_chase_request.yml", "placeholder"),
    ("win_security_adcs_certighost_cert_issued_via_chase.yml", "placeholder"),
];

#[test]
fn every_document_is_compiled_or_refused_with_a_right_reason() {
    let Some(data) = shared_data("every_document_is_compiled_or_refused_with_a_right_reason")
    else {
        return;
    };
    let mut documents = Vec::new();
    support::collect(&data.join("sigma"), "yml", &mut |path| {
        let text = std::fs::read_to_string(path).expect("readable");
        documents.push(Document { path: path.display().to_string(), text });
    });
    let number = documents.len();
    assert!(number > 3_000, "only {number} documents found");
    let (rules, refused) = compile(documents);
    for one in &refused {
        let known = REFUSED
            .iter()
            .any(|(path, code)| one.path.ends_with(path) && one.reason.code() == *code);
        assert!(known, "refused without need: {one}");
    }
    assert_eq!(refused.len(), REFUSED.len());
    assert_eq!(rules.filters().len() + refused.len(), number);
}
