//! A topic, a record, a consumer: the shortest way through the broker.

use takhin_tests::script::{Script, earliest, wait};

#[test]
fn a_record_goes_from_producer_to_consumer() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.produce("orders", 0, 1);
    script.subscribe(1, "billing", &["orders"], earliest());
    script.consume(1, wait(0));
    script.commit_all(1);
    script.close(1);
    insta::assert_snapshot!(script.story());
}
