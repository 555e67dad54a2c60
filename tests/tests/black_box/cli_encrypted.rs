//! The options of all commands that talk to a server: over https, with a key, to a server that wants both.

use std::{fs, process::Command};

use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use takhin_tests::{
    broker::{free_port, program},
    engine::Engine,
    keyed::Keyed,
    shell::{takhin, texts},
};
use tempfile::TempDir;

#[test]
fn each_command_takes_the_same_options() {
    let files = TempDir::new().unwrap();
    let path = |name: &str| files.path().join(name).display().to_string();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(path("cert.pem"), certificate.pem()).unwrap();
    fs::write(path("key.pem"), key.serialize_pem()).unwrap();
    let port = free_port();
    let listen = format!("https://127.0.0.1:{port}");
    let keyed = Keyed::start(&["--listen", &listen, "--tls-cert", &path("cert.pem"), "--tls-key", &path("key.pem")]);
    let (admin, _) = keyed.make(&json!({"cluster": ["admin"]}));
    let server = format!("https://localhost:{port}");
    let archive = path("backup.tar.zst");

    let lines = [
        "ping",
        "topic create t",
        "bench produce -t t -n 10",
        "messages t",
        "consume t -e -n 1",
        "group list",
        "key create --name n --topic t:read",
        "key list",
        &format!("backup -o {archive}"),
    ];
    // A backup of records in Kafka is Kafka's business.
    let has_backups = |line: &&str| Engine::of_this_run() == Engine::Local || !line.starts_with("backup");
    for line in lines.into_iter().filter(has_backups) {
        let said = format!("{line} --server {server} --api-key {admin} --tls-ca {}", path("cert.pem"));
        let (stdout, stderr) = succeeded(&mut takhin(&said));
        assert!(!stdout.is_empty(), "{line}: {stderr}");
        if line.starts_with("topic create") {
            continue;
        }
        // It is no backup's to replace.
        let _ = fs::remove_file(&archive);
        let mut told = takhin(line);
        told.env("TAKHIN_SERVER", &server).env("TAKHIN_API_KEY", &admin).env("TAKHIN_TLS_CA", path("cert.pem"));
        succeeded(&mut told);
    }
    let stranger = takhin(&format!("topic list --server {server} --api-key {admin}")).output().unwrap();
    let said = texts(&stranger).1;
    assert!(stranger.status.code() == Some(3) && said.contains("certificate"), "{said}");
    let nobody = takhin(&format!("key list --server {server} --tls-ca {}", path("cert.pem"))).output().unwrap();
    let said = texts(&nobody).1;
    assert!(nobody.status.code() == Some(1) && said.contains("TAKHIN_API_KEY"), "{said}");
}

fn succeeded(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{command:?}: {stderr}");
    (stdout, stderr)
}

#[test]
fn what_is_said_on_the_command_line_counts_before_the_environment() {
    let directory = TempDir::new().unwrap();
    let data_dir = directory.path().join("data").display().to_string();
    fs::create_dir(&data_dir).unwrap();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let run = |line: &str, environment: &[(&str, &str)]| {
        let mut command = Command::new(program());
        command.args(line.split(' ')).env_remove("TAKHIN_SERVER").env_remove("TAKHIN_DATA_DIR");
        let output = command.envs(environment.iter().copied()).output().unwrap();
        (output.status.code(), texts(&output).1)
    };
    let create = format!("key create --name n --cluster admin --data-dir {data_dir}");
    assert_eq!(run(&create, &[("TAKHIN_SERVER", &nobody)]).0, Some(0), "the directory was named");
    assert_eq!(run(&format!("key list --data-dir {data_dir}"), &[("TAKHIN_SERVER", &nobody)]).0, Some(0));
    assert_eq!(run(&format!("key list --server {nobody}"), &[("TAKHIN_DATA_DIR", &data_dir)]).0, Some(3));
    assert_eq!(run("key list", &[("TAKHIN_DATA_DIR", &data_dir)]).0, Some(0));
    assert_eq!(run("key list", &[("TAKHIN_DATA_DIR", &data_dir), ("TAKHIN_SERVER", &nobody)]).0, Some(3));
    for line in ["key list", "backup -o /nowhere/archive"] {
        let (code, said) = run(&format!("{line} --server {nobody} --data-dir {data_dir}"), &[]);
        assert!(code == Some(2) && said.contains("not both"), "{line}: {said}");
    }
}
